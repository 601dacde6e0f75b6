//! Following a folder: what changes reach the caller, and what does not.

use std::fs;
use std::path::Path;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::*;
use crate::account::admission::of_all_providers as admission;
use crate::cloud::Providers;
use crate::cloud::alauda::AlaudaAccount;

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {username: acme, password: x}\n";

fn account(name: &str) -> String {
    format!(
        "apiVersion: caas-operator.io/v1alpha1\nkind: CaasAccount\nmetadata: {{name: {name}}}\nspec:\n  provider: {{alauda: {{endpoint: https://caas.example.com/v1/}}}}\n  credentials: {{secretRef: {{name: s}}}}\n"
    )
}

fn texts(files: &[(&str, &str)]) -> Texts {
    files.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned()))).collect()
}

fn names(desired: &Desired) -> Vec<String> {
    desired.accounts.iter().map(|account| account.id.name.to_string()).collect()
}

fn in_force(view: &View) -> Desired {
    manifests::desired(Providers::ALL, view.files(), |_| Ok(()))
}

#[test]
fn a_change_counts_once_it_was_read_twice_alike() {
    let (a, b) = (account("a"), account("b"));
    let mut view = View::new(admission(), texts(&[("s.yaml", SECRET), ("a.yaml", &a)]));

    assert!(!view.observe(texts(&[("s.yaml", SECRET), ("a.yaml", "")])), "just truncated");
    assert!(!view.observe(texts(&[("s.yaml", SECRET)])), "just gone");
    assert!(!view.observe(texts(&[("s.yaml", SECRET), ("a.yaml", &b)])), "just written");
    assert_eq!(names(&in_force(&view)), ["a"]);

    assert!(view.observe(texts(&[("s.yaml", SECRET), ("a.yaml", &b)])));
    assert_eq!(names(&in_force(&view)), ["b"]);
    assert!(!view.observe(texts(&[("s.yaml", SECRET), ("a.yaml", &b)])), "nothing changed");
}

#[test]
fn a_file_that_cannot_be_parsed_or_read_keeps_its_previous_version() {
    let both = format!("{}---\n{SECRET}", account("a"));
    let mut view = View::new(admission(), texts(&[("all.yaml", &both)]));
    let unreadable =
        Texts::from([("all.yaml".to_owned(), Err("cannot be read: permission denied".to_owned()))]);

    for broken in [texts(&[("all.yaml", &format!("{}---\nkind: [", account("b")))]), unreadable] {
        view.observe(broken.clone());
        assert!(view.observe(broken));
        let desired = in_force(&view);
        assert_eq!(names(&desired), ["a"]);
        assert_eq!(desired.faults.len(), 1);
        assert!(desired.faults[0].message.ends_with("the previous version of the file remains in use"));
    }

    view.observe(Texts::new());
    assert!(view.observe(Texts::new()), "a file that is gone says nothing");
    assert_eq!(in_force(&view), Desired::default());
}

#[test]
fn a_file_with_an_object_that_an_api_server_would_refuse_keeps_its_previous_version() {
    let (account, slow) = (account("a"), account("a") + "  collection: {interval: 1m}\n");
    let mut view = View::new(admission(), texts(&[("a.yaml", &slow), ("s.yaml", SECRET)]));
    let before = in_force(&view).accounts;

    for (a, s, says) in [
        (
            account.clone() + "  collection: {intervall: 30s}\n",
            SECRET.to_owned(),
            "intervall: is an unknown field",
        ),
        (account.clone() + "  collection: {interval: 1s}\n", SECRET.to_owned(), "interval: set a duration"),
        (slow.clone(), SECRET.replace("stringData", "data"), "not base64"),
        (slow.clone(), SECRET.replace("password: x", "password: 123"), "put it in quotes"),
    ] {
        let broken = texts(&[("a.yaml", &a), ("s.yaml", &s)]);
        view.observe(broken.clone());
        assert!(view.observe(broken), "{says}");
        let desired = in_force(&view);
        assert_eq!((&desired.accounts, desired.problems.len()), (&before, 0), "{says}");
        let [fault] = &desired.faults[..] else { panic!("{says}: {:?}", desired.faults) };
        assert!(
            fault.message.contains(says)
                && fault.message.ends_with("the previous version of the file remains in use"),
            "{fault}"
        );
    }

    let corrected = texts(&[("a.yaml", &account), ("s.yaml", SECRET)]);
    view.observe(corrected.clone());
    assert!(view.observe(corrected));
    let desired = in_force(&view);
    assert!(desired.faults.is_empty() && desired.accounts != before, "{:?}", desired.faults);
}

/// The next value that `wanted` takes.
async fn until(changes: &mut UnboundedReceiver<Desired>, wanted: impl Fn(&Desired) -> bool) -> Desired {
    let next = async {
        loop {
            let desired = changes.recv().await.expect("the watch goes on");
            if wanted(&desired) {
                return desired;
            }
        }
    };
    timeout(Duration::from_secs(30), next).await.expect("the change is seen")
}

fn start(
    folder: &Path,
) -> (UnboundedReceiver<Desired>, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
    let (sender, changes) = unbounded_channel();
    let cancel = CancellationToken::new();
    let on_change = move |desired| drop(sender.send(desired));
    let (folder, stop) = (folder.to_owned(), cancel.clone());
    let watching = tokio::spawn(async move {
        watch(folder, Duration::from_millis(5), admission(), |_| Ok(()), on_change, stop).await
    });
    (changes, cancel, watching)
}

#[tokio::test]
async fn files_that_come_change_and_go_are_followed_until_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("secret.yaml"), SECRET).unwrap();
    fs::write(path(".hidden.yaml"), account("hidden")).unwrap();
    fs::write(path("notes.txt"), "not a manifest").unwrap();
    fs::create_dir(path("folder.yaml")).unwrap();
    let (mut changes, cancel, watching) = start(folder.path());

    assert_eq!(changes.recv().await, Some(Desired::default()));
    fs::write(path("a.yaml"), account("a")).unwrap();
    until(&mut changes, |desired| names(desired) == ["a"]).await;
    fs::write(path("b.yml"), account("b")).unwrap();
    until(&mut changes, |desired| names(desired) == ["a", "b"]).await;
    fs::write(path("secret.yaml"), SECRET.replace("acme", "else")).unwrap();
    let user = |desired: &Desired| {
        let account = AlaudaAccount::of(&*desired.accounts[0].connection.provider);
        account.credentials.username() == Some("else")
    };
    until(&mut changes, user).await;
    fs::remove_file(path("a.yaml")).unwrap();
    until(&mut changes, |desired| names(desired) == ["b"]).await;

    cancel.cancel();
    timeout(Duration::from_secs(30), watching).await.unwrap().unwrap().unwrap();
    assert_eq!(changes.recv().await, None);
}

#[cfg(unix)]
#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_links() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (version, name) in [("..1", "a"), ("..2", "b")] {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("all.yaml"), format!("{}---\n{SECRET}", account(name))).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/all.yaml", path("all.yaml")).unwrap();
    let (mut changes, cancel, _watching) = start(folder.path());

    until(&mut changes, |desired| names(desired) == ["a"]).await;
    // As the kubelet does it: one rename changes all files at once.
    symlink("..2", path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    until(&mut changes, |desired| names(desired) == ["b"]).await;
    cancel.cancel();
}

#[tokio::test]
async fn a_folder_that_is_not_there_at_first_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (mut changes, _cancel, watching) = start(&folder.path().join("missing"));
    assert!(timeout(Duration::from_secs(30), watching).await.unwrap().unwrap().is_err());
    assert_eq!(changes.recv().await, None);
}
