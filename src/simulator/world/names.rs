//! The names of services, and the slot of a name. Pure.

/// The names of the first services without an application. A demo shows those at the front first.
const WORDS: [&str; 16] = [
    "kibana",
    "elasticsearch",
    "redis",
    "web-frontend",
    "mysql",
    "api-gateway",
    "logstash",
    "rabbitmq",
    "worker",
    "nginx",
    "user-service",
    "billing",
    "search",
    "mailer",
    "scheduler",
    "image-resizer",
];

/// The halves of the names of all other services.
const SUBJECTS: [&str; 8] =
    ["orders", "catalog", "payments", "sessions", "reports", "stock", "shipping", "reviews"];
const ROLES: [&str; 6] = ["api", "worker", "cache", "db", "proxy", "jobs"];

/// Names of applications.
const APPLICATIONS: [&str; 5] = ["shop", "analytics", "intranet", "wiki", "chat"];

/// The services of each application. Both names also exist outside of applications, as such a cloud allows.
const MEMBERS: [&str; 2] = ["redis", "web-frontend"];

/// The separator between the name and the generation of a service that comes and goes.
const GENERATION: &str = "-v";

/// The name of the service in a slot without an application.
pub(super) fn standalone(slot: usize) -> String {
    WORDS.get(slot).map_or_else(
        || format!("{}-{}-{slot}", SUBJECTS[slot % SUBJECTS.len()], ROLES[slot / 8 % ROLES.len()]),
        |word| (*word).to_owned(),
    )
}

/// The slot of a service without an application. It looks at the number only: the caller compares the names.
pub(super) fn standalone_slot(name: &str) -> Option<usize> {
    WORDS.iter().position(|word| *word == name).or_else(|| name.rsplit_once('-')?.1.parse().ok())
}

/// The application and name of the nth service that belongs to an application.
pub(super) fn member(nth: usize) -> (String, &'static str) {
    let application = nth / MEMBERS.len();
    let round = application / APPLICATIONS.len();
    let name = APPLICATIONS[application % APPLICATIONS.len()];
    let name = if round == 0 { name.to_owned() } else { format!("{name}-{round}") };
    (name, MEMBERS[nth % MEMBERS.len()])
}

/// The number of a service among those of all applications.
pub(super) fn member_number(application: &str, name: &str) -> Option<usize> {
    let (word, round) = application
        .rsplit_once('-')
        .and_then(|(word, round)| Some((word, round.parse::<usize>().ok()?)))
        .unwrap_or((application, 0));
    let position = APPLICATIONS.iter().position(|known| *known == word)?;
    let member = MEMBERS.iter().position(|known| *known == name)?;
    round
        .checked_mul(APPLICATIONS.len())?
        .checked_add(position)?
        .checked_mul(MEMBERS.len())?
        .checked_add(member)
}

/// The name of one generation of a service that comes and goes.
pub(super) fn of_generation(base: &str, generation: i64) -> String {
    format!("{base}{GENERATION}{generation}")
}

/// A name without its generation, if it has one.
pub(super) fn without_generation(name: &str) -> &str {
    match name.rsplit_once(GENERATION) {
        Some((base, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            base
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_back_to_its_slot() {
        for slot in 0..1000 {
            let name = standalone(slot);
            assert_eq!(standalone_slot(&name), Some(slot), "{name}");
            assert_eq!(without_generation(&name), name);
            assert_eq!(without_generation(&of_generation(&name, 123)), name);
            let (application, name) = member(slot);
            assert_eq!(member_number(&application, name), Some(slot), "{application}/{name}");
        }
    }
}
