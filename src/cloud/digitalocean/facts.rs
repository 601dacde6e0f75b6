//! From what an app's answers say to the facts of its components. Pure.

use super::status::{self, Condition};
use super::target::Kind;
use super::wire::{App, Component, ComponentHealth};
use crate::cloud::model::{Limits, ServiceFacts};

/// The phases of an app's deployments, which all its components share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Phases {
    /// That of the deployment that runs.
    pub(super) active: Option<String>,
    /// That of the one that is to replace it.
    pub(super) in_progress: Option<String>,
}

impl Phases {
    fn state(&self, condition: Option<Condition>) -> crate::cloud::model::State {
        status::state(condition, self.active.as_deref(), self.in_progress.as_deref())
    }
}

/// What the list of apps says of a component.
pub(super) fn listed(app: &App, phases: &Phases, component: Component) -> ServiceFacts {
    let Component { name, kind, instance_count, size, image, image_tag } = component;
    ServiceFacts {
        name,
        application: Some(app.name.clone()),
        // A component has no id of its own: its name is unique within its app.
        id: Some(app.id.clone()),
        status: phases.in_progress.clone().or_else(|| phases.active.clone()),
        state: Some(phases.state(None)),
        kind: Some(Kind::as_str(kind).to_owned()),
        desired_instances: instance_count,
        image,
        image_tag,
        size: Some(size),
        region: app.region.clone(),
        ..ServiceFacts::default()
    }
}

/// The same with what the component's health, its instances and its size add.
pub(super) fn complete(
    facts: &mut ServiceFacts,
    phases: &Phases,
    health: Option<&ComponentHealth>,
    running: Option<usize>,
    limits: Option<Limits>,
) {
    facts.running_instances = running.and_then(|running| i64::try_from(running).ok());
    facts.limits = limits.unwrap_or_default();
    let Some(health) = health else { return };
    // The cloud scales a component that has no fixed count; how many it wants now stands here only.
    facts.desired_instances = health.desired.or(facts.desired_instances);
    facts.ready_instances = health.ready;
    let condition = health.is_healthy.map(|is_healthy| {
        if is_healthy {
            Condition::Healthy
        } else {
            Condition::Unhealthy { some_ready: health.ready != Some(0) }
        }
    });
    facts.state = Some(phases.state(condition));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::model::State;

    fn api(active: Option<&str>, in_progress: Option<&str>) -> (ServiceFacts, Phases) {
        let phases =
            Phases { active: active.map(str::to_owned), in_progress: in_progress.map(str::to_owned) };
        let component = Component {
            name: "api".to_owned(),
            kind: Kind::Service,
            instance_count: Some(2),
            size: "apps-s-1vcpu-1gb".to_owned(),
            image: None,
            image_tag: None,
        };
        let app = App { id: "4f6c".to_owned(), name: "shop".to_owned(), ..App::default() };
        (listed(&app, &phases, component), phases)
    }

    #[test]
    fn a_component_is_a_service_of_its_app() {
        let (facts, _) = api(Some("ACTIVE"), None);
        assert_eq!((facts.application.as_deref(), facts.id.as_deref()), (Some("shop"), Some("4f6c")));
        assert_eq!((facts.status.as_deref(), facts.state), (Some("ACTIVE"), Some(State::Running)));
        assert_eq!((facts.kind.as_deref(), facts.desired_instances), (Some("service"), Some(2)));
        let (facts, _) = api(Some("ACTIVE"), Some("BUILDING"));
        assert_eq!((facts.status.as_deref(), facts.state), (Some("BUILDING"), Some(State::Deploying)));
    }

    #[test]
    fn health_says_how_many_instances_are_wanted_now_and_whether_they_work() {
        let (mut facts, phases) = api(Some("ACTIVE"), None);
        let limits = Limits { cpu_cores: Some(1.0), ..Limits::default() };
        let unhealthy = ComponentHealth { is_healthy: Some(false), desired: Some(4), ready: Some(3) };
        complete(&mut facts, &phases, Some(&unhealthy), Some(4), Some(limits));
        assert_eq!(
            (facts.desired_instances, facts.running_instances, facts.ready_instances, facts.state),
            (Some(4), Some(4), Some(3), Some(State::Degraded))
        );
        assert_eq!(facts.limits, limits);

        let none_ready = ComponentHealth { ready: Some(0), ..unhealthy };
        complete(&mut facts, &phases, Some(&none_ready), None, None);
        assert_eq!((facts.running_instances, facts.state), (None, Some(State::Failed)));
    }

    #[test]
    fn without_health_the_list_stands() {
        let (mut facts, phases) = api(Some("ACTIVE"), None);
        complete(&mut facts, &phases, None, Some(2), None);
        assert_eq!((facts.desired_instances, facts.ready_instances), (Some(2), None));
        let unknown = ComponentHealth::default();
        complete(&mut facts, &phases, Some(&unknown), Some(2), None);
        assert_eq!((facts.desired_instances, facts.state), (Some(2), Some(State::Running)));
    }
}
