//! What one cycle holds of the answers of a cloud: the services that were listed, each of them once, and what was measured;
//! no more than memory should hold.
//!
//! A cloud lists and measures whatever it likes and all accounts share the process, so a list that is too large is cut. What
//! the cycle holds is charged to the account while it grows: one that does not fit ends early and never fills the memory.
//! Readers of measurements work within a budget and give out what they read as [`Spent`], which only an inventory opens.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::cloud::ServiceFilter;
use crate::cloud::error::AnswerProblem;
use crate::cloud::filter::Matching;
use crate::cloud::model::{InstanceFacts, ServiceFacts};
use crate::limits::{Charge, LARGEST_RESULT};

/// Bytes of a service besides its texts: its facts (some 350), its URL, its places in the cycle's lists and sets, which have
/// room to grow, and what the allocator adds to each of a dozen pieces.
const SERVICE_BYTES: usize = 1024;
/// Bytes of an instance besides its texts: its facts, its places in two lists, and its newest sample.
const INSTANCE_BYTES: usize = 512;
/// Bytes that a map takes for an entry besides its key and value, and the allocator for a text.
const ENTRY_BYTES: usize = 48;
/// What a cycle may hold in all, however much memory there is.
const MOST: usize = 128 << 20;
/// Memory is charged in steps of this size.
const STEP: usize = 64 << 10;

/// What a value takes as an entry of a map, or of a list, with room to grow, in bytes. `texts` are the bytes of its key and of what
/// it has on the heap.
pub const fn entry_bytes<T>(texts: usize) -> usize {
    ENTRY_BYTES + 2 * (size_of::<String>() + size_of::<T>()) + texts
}

/// What an instance takes, in bytes.
pub fn instance_bytes(facts: &InstanceFacts) -> usize {
    INSTANCE_BYTES + facts.text_bytes()
}

/// The bytes that an inventory may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventoryBudget(usize);

impl InventoryBudget {
    /// The budget of one response, since what a response holds is charged only once it is read.
    pub const PER_CYCLE: Self = Self(LARGEST_RESULT);

    /// Spends what a service takes without its instances. `TooLarge`, and nothing spent, where that exceeds the budget.
    pub fn spend_service(&mut self, facts: &ServiceFacts) -> Result<(), AnswerProblem> {
        // A URL repeats name and application, and may need three bytes for one.
        let in_url = 3 * (facts.name.len() + facts.application.as_ref().map_or(0, String::len));
        self.spend(SERVICE_BYTES + in_url + facts.text_bytes())
    }

    /// Spends what an instance takes. `TooLarge`, and nothing spent, where that exceeds the budget.
    pub fn spend_instance(&mut self, facts: &InstanceFacts) -> Result<(), AnswerProblem> {
        self.spend(instance_bytes(facts))
    }

    /// Spends what all these instances take. `TooLarge`, and nothing spent, where that exceeds the budget.
    pub fn spend_instances(&mut self, list: &[Arc<InstanceFacts>]) -> Result<(), AnswerProblem> {
        let mut left = *self;
        list.iter().try_for_each(|facts| left.spend_instance(facts))?;
        *self = left;
        Ok(())
    }

    /// Spends what a value takes as an entry of a map, or of a list, with room to grow. `texts` are the bytes of its key and
    /// of what it has on the heap. `TooLarge`, and nothing spent, where that exceeds the budget.
    pub fn spend_entry<T>(&mut self, texts: usize) -> Result<(), AnswerProblem> {
        self.spend(entry_bytes::<T>(texts))
    }

    /// Reads an answer within this budget, and notes what it takes.
    pub fn reading<T>(
        self,
        read: impl FnOnce(&mut Self) -> Result<T, AnswerProblem>,
    ) -> Result<Spent<T>, AnswerProblem> {
        let mut left = self;
        let value = read(&mut left)?;
        Ok(Spent { value, bytes: self.0 - left.0 })
    }

    fn spend(&mut self, bytes: usize) -> Result<(), AnswerProblem> {
        self.0 = self.0.checked_sub(bytes).ok_or(AnswerProblem::TooLarge)?;
        Ok(())
    }
}

/// What was read of an answer, and what that takes: [`Inventory::keep`] charges it and gives it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent<T> {
    value: T,
    bytes: usize,
}

impl<T> Spent<T> {
    /// What was read, to look at.
    pub fn value(&self) -> &T {
        &self.value
    }
}

/// What a cycle holds so far, within its budget.
#[derive(Debug)]
pub struct Inventory {
    budget: InventoryBudget,
    services: HashSet<Identity>,
    charge: Option<Charge>,
    matching: Matching,
}

impl Inventory {
    /// An empty inventory that is charged to nobody.
    pub fn new() -> Self {
        Self {
            budget: InventoryBudget(MOST),
            services: HashSet::new(),
            charge: None,
            matching: Matching::default(),
        }
    }

    /// An empty inventory that is charged to an account while it grows.
    pub fn charged(charge: Charge) -> Self {
        Self { charge: Some(charge), ..Self::new() }
    }

    /// What is left of the budget for one response, for readers that stop where it ends.
    pub fn budget(&self) -> InventoryBudget {
        InventoryBudget(self.budget.0.min(InventoryBudget::PER_CYCLE.0))
    }

    /// Whether the filter wants the service of this name. `TooLarge` where the names of this cycle cost more time than they may.
    pub fn wants(&mut self, filter: &ServiceFilter, name: &str) -> Result<bool, AnswerProblem> {
        self.matching.wants(filter, name)
    }

    /// Adds a service and returns whether it is new: a list that shifts between two pages repeats some.
    pub fn add_service(&mut self, facts: &Arc<ServiceFacts>) -> Result<bool, AnswerProblem> {
        let identity = Identity(Arc::clone(facts));
        if self.services.contains(&identity) {
            return Ok(false);
        }
        let mut budget = self.budget;
        budget.spend_service(facts)?;
        self.spend(budget)?;
        self.services.insert(identity);
        Ok(true)
    }

    /// Adds all these instances, or none of them where they exceed the budget.
    pub fn add_instances(&mut self, list: &[Arc<InstanceFacts>]) -> Result<(), AnswerProblem> {
        let mut budget = self.budget;
        budget.spend_instances(list)?;
        self.spend(budget)
    }

    /// Notes something else that the cycle remembers of an answer, as an entry of a map or of a list, before it is remembered.
    /// `texts` are the bytes of its key and of what it has on the heap. `TooLarge` where it exceeds the budget: then it must
    /// not be remembered.
    pub fn remember<T>(&mut self, texts: usize) -> Result<(), AnswerProblem> {
        let mut budget = self.budget;
        budget.spend_entry::<T>(texts)?;
        self.spend(budget)
    }

    /// Adds to what was listed, and returns whether that is new: a list that shifts between two pages repeats some. It is
    /// remembered as a `T` with these texts, see [`Self::remember`]; `TooLarge`, and nothing is added, where that exceeds the
    /// budget.
    pub fn is_new<T, K: Eq + Hash>(
        &mut self,
        listed: &mut HashSet<K>,
        key: K,
        texts: usize,
    ) -> Result<bool, AnswerProblem> {
        if listed.contains(&key) {
            return Ok(false);
        }
        self.remember::<T>(texts)?;
        Ok(listed.insert(key))
    }

    /// Gives out what was read of an answer, to be held until the cycle ends. `TooLarge`, and nothing is held of it, where it
    /// exceeds the budget.
    pub fn keep<T>(&mut self, read: Spent<T>) -> Result<T, AnswerProblem> {
        let mut budget = self.budget;
        budget.spend(read.bytes)?;
        self.spend(budget)?;
        Ok(read.value)
    }

    /// Leaves this much of the budget; what is spent then is charged first.
    fn spend(&mut self, left: InventoryBudget) -> Result<(), AnswerProblem> {
        let spent = MOST.saturating_sub(left.0).next_multiple_of(STEP);
        if let Some(charge) = &mut self.charge
            && spent > charge.bytes()
        {
            charge.resize(spent).map_err(|_| AnswerProblem::TooLarge)?;
        }
        self.budget = left;
        Ok(())
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares services by what identifies them: application and name, and the cloud's id where there is one.
#[derive(Debug)]
struct Identity(Arc<ServiceFacts>);

impl Identity {
    fn parts(&self) -> (Option<&str>, &str, Option<&str>) {
        (self.0.application.as_deref(), &self.0.name, self.0.id.as_deref())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::model::Overrides;
    use crate::limits::MemoryBudget;

    fn service(name: &str, application: Option<&str>, id: Option<&str>) -> Arc<ServiceFacts> {
        let (application, id) = (application.map(str::to_owned), id.map(str::to_owned));
        Arc::new(ServiceFacts { name: name.to_owned(), application, id, ..ServiceFacts::default() })
    }

    #[test]
    fn services_are_told_apart_by_application_name_and_id_and_added_once() {
        let mut inventory = Inventory::new();
        for (application, id, is_new) in [
            (None, None, true),
            (Some("a"), None, true),
            (Some("b"), None, true),
            (Some("a"), None, false),
            (Some("a"), Some("1"), true),
            (Some("a"), Some("2"), true),
            (Some("a"), Some("1"), false),
        ] {
            let added = inventory.add_service(&service("web", application, id));
            assert_eq!(added, Ok(is_new), "{application:?} {id:?}");
        }
        let before = inventory.budget();
        inventory.add_service(&service("web", None, None)).unwrap();
        assert_eq!(inventory.budget(), before, "a service that is listed again costs nothing");
    }

    #[test]
    fn a_service_spends_more_the_more_is_known_of_it_and_never_more_than_the_budget() {
        let mut budget = InventoryBudget(3_000);
        let mut facts = ServiceFacts { name: "web".to_owned(), ..ServiceFacts::default() };
        budget.spend_service(&facts).unwrap();
        assert_eq!(budget, InventoryBudget(3_000 - SERVICE_BYTES - 12));

        facts.image = Some("i".repeat(2_000));
        assert_eq!(budget.spend_service(&facts), Err(AnswerProblem::TooLarge));
        assert_eq!(budget, InventoryBudget(3_000 - SERVICE_BYTES - 12), "nothing is spent");
    }

    #[test]
    fn every_text_of_a_service_and_an_instance_is_counted() {
        let text = || Some("t".repeat(100));
        let service = ServiceFacts {
            id: text(),
            status: text(),
            kind: text(),
            image: text(),
            image_tag: text(),
            size: text(),
            region: text(),
            ..ServiceFacts::default()
        };
        let mut budget = InventoryBudget(SERVICE_BYTES + 700);
        budget.spend_service(&service).unwrap();
        assert_eq!(budget, InventoryBudget(0));

        let overrides = Overrides { region: text(), size: text(), ..Overrides::default() };
        let instance = InstanceFacts { overrides: Some(Box::new(overrides)), ..InstanceFacts::default() };
        let mut budget = InventoryBudget(INSTANCE_BYTES + size_of::<Overrides>() + 200);
        budget.spend_instance(&instance).unwrap();
        assert_eq!(budget, InventoryBudget(0));
    }

    #[test]
    fn a_service_that_exceeds_the_budget_is_not_added() {
        let mut inventory = Inventory { budget: InventoryBudget(1_200), ..Inventory::new() };
        assert_eq!(inventory.add_service(&service("web", None, None)), Ok(true));
        for _ in 0..2 {
            assert_eq!(inventory.add_service(&service("db", None, None)), Err(AnswerProblem::TooLarge));
        }
    }

    #[test]
    fn instances_fit_all_or_not_at_all() {
        let instance =
            Arc::new(InstanceFacts { name: "n".repeat(100), id: "i".repeat(44), ..InstanceFacts::default() });
        let mut budget = InventoryBudget(1_500);
        assert_eq!(budget.spend_instances(&vec![Arc::clone(&instance); 3]), Err(AnswerProblem::TooLarge));
        budget.spend_instances(&[Arc::clone(&instance), instance]).unwrap();
        assert_eq!(budget, InventoryBudget(1_500 - 2 * (INSTANCE_BYTES + 144)));
    }

    #[test]
    fn an_inventory_is_charged_while_it_grows_and_ends_where_the_memory_does() {
        let memory = MemoryBudget::new(4 * STEP);
        let holder = memory.holder("team-a", "acme");
        let mut inventory = Inventory::charged(holder.charge());
        let fits = (0..1_000)
            .take_while(|number| inventory.add_service(&service(&number.to_string(), None, None)).is_ok())
            .count();
        assert!((200..=256).contains(&fits), "{fits} services of a KiB in 256 KiB");
        assert_eq!(holder.is_cut().map(|cut| cut.budget), Some(4 * STEP));
        drop(inventory);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_was_measured_is_charged_like_what_was_listed() {
        let memory = MemoryBudget::new(4 * STEP);
        let holder = memory.holder("team-a", "acme");
        let mut inventory = Inventory::charged(holder.charge());
        let answer = |inventory: &Inventory| {
            let read = |budget: &mut InventoryBudget| {
                (0..100).try_for_each(|_| budget.spend_entry::<[f64; 2]>(100))?;
                Ok("an answer with 100 series")
            };
            inventory.budget().reading(read).unwrap()
        };
        let kept = (0..1_000)
            .take_while(|_| {
                let read = answer(&inventory);
                inventory.keep(read).is_ok()
            })
            .count();
        // A series has a text of 100 bytes, and key and value of 40 with room to grow.
        assert_eq!(kept, 4 * STEP / (100 * (ENTRY_BYTES + 80 + 100)));
        assert!(holder.is_cut().is_some());
        drop(inventory);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_else_is_remembered_is_charged_too_and_ends_where_the_memory_does() {
        let memory = MemoryBudget::new(4 * STEP);
        let holder = memory.holder("team-a", "acme");
        let mut inventory = Inventory::charged(holder.charge());
        let kept = (0..10_000).take_while(|_| inventory.remember::<[f64; 2]>(100).is_ok()).count();
        assert_eq!(kept, 4 * STEP / (ENTRY_BYTES + 80 + 100));
        assert!(holder.is_cut().is_some());
        drop(inventory);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn an_answer_with_more_than_the_budget_is_not_read_to_its_end() {
        let mut entries = 0;
        let read = InventoryBudget(1_000).reading(|budget| {
            loop {
                budget.spend_entry::<u64>(200)?;
                entries += 1;
            }
            #[allow(unreachable_code)]
            Ok(())
        });
        assert_eq!((read, entries), (Err(AnswerProblem::TooLarge), 3));
    }
}
