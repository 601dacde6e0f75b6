//! How much memory one cycle's inventory may take. What a cloud lists is its own choice, and all accounts share the
//! process, so a list that is longer is cut.

use std::sync::Arc;

use crate::cloud::error::AnswerProblem;
use crate::cloud::model::{InstanceFacts, ServiceFacts};

/// What a service takes besides its texts: its facts, its addresses, its place in the queue.
const SERVICE: usize = 512;
/// What an instance takes besides its texts: its facts and its newest sample, twice for a moment.
const INSTANCE: usize = 256;

/// What is left for an inventory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room(usize);

impl Room {
    /// For one cycle: some 200,000 instances with names of the usual length.
    pub(super) const WHOLE: Self = Self(64 << 20);

    /// Takes the room of a service without its instances; where there is too little, nothing.
    pub(super) fn take_service(&mut self, facts: &ServiceFacts) -> Result<(), AnswerProblem> {
        let texts = [&facts.status, &facts.image, &facts.image_tag, &facts.size, &facts.region];
        // Name and application stand in the service's address once more, where each byte may be written as three.
        let named = facts.name.len() + length(facts.application.as_ref());
        self.take(SERVICE + 4 * named + texts.into_iter().map(|text| length(text.as_ref())).sum::<usize>())
    }

    /// Takes the room of an instance; where there is too little, nothing.
    pub(super) fn take_instance(&mut self, facts: &InstanceFacts) -> Result<(), AnswerProblem> {
        self.take(INSTANCE + facts.name.len() + facts.id.len())
    }

    /// Takes the room of all these instances; where there is too little, nothing.
    pub(super) fn take_instances(&mut self, list: &[Arc<InstanceFacts>]) -> Result<(), AnswerProblem> {
        let mut left = *self;
        list.iter().try_for_each(|facts| left.take_instance(facts))?;
        *self = left;
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), AnswerProblem> {
        self.0 = self.0.checked_sub(bytes).ok_or(AnswerProblem::TooLarge)?;
        Ok(())
    }
}

fn length(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_takes_more_the_more_it_tells_and_never_more_than_there_is() {
        let mut room = Room(2_000);
        let mut facts = ServiceFacts { name: "web".to_owned(), ..ServiceFacts::default() };
        room.take_service(&facts).unwrap();
        assert_eq!(room, Room(2_000 - SERVICE - 12));

        facts.image = Some("i".repeat(1_000));
        assert_eq!(room.take_service(&facts), Err(AnswerProblem::TooLarge));
        assert_eq!(room, Room(2_000 - SERVICE - 12), "what does not fit takes nothing");
    }

    #[test]
    fn instances_fit_all_or_not_at_all() {
        let instance =
            Arc::new(InstanceFacts { name: "n".repeat(100), id: "i".repeat(44), ..InstanceFacts::default() });
        let mut room = Room(1_000);
        assert_eq!(room.take_instances(&vec![Arc::clone(&instance); 3]), Err(AnswerProblem::TooLarge));
        room.take_instances(&[Arc::clone(&instance), instance]).unwrap();
        assert_eq!(room, Room(200));
    }
}
