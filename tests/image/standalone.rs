//! `standalone` in the image's root: one account from the environment.

use crate::authority::Authority;
use crate::cloud::{self, PASSWORD};
use crate::inside;
use crate::root::Root;

#[test]
#[ignore = "needs the static binary: run make test"]
fn the_program_runs_in_a_read_only_root_with_ca_certificates_only() {
    let name = "standalone::the_program_runs_in_a_read_only_root_with_ca_certificates_only";
    inside::run(name, in_an_empty_root());
}

async fn in_an_empty_root() {
    let authority = Authority::new().unwrap();
    let (_cloud, endpoint) = cloud::start(&authority).await;
    let root = Root::new(&authority);
    let files = root.files();

    let arguments = ["standalone", "--listen", "127.0.0.1:9104", "--alauda-endpoint", &endpoint];
    let mut program = root.start(&arguments, &[("ALAUDA_USERNAME", "acme"), ("ALAUDA_PASSWORD", PASSWORD)]);
    let collected = |_, body: &str| body.contains("caas_instance_memory_usage_bytes{");
    let body = program.until_answers("http://127.0.0.1:9104/metrics", collected).await;

    assert!(body.contains("caas_account_up{account_namespace=\"default\",account=\"alauda\"} 1"), "{body}");
    assert!(body.contains("memory_usage{service=\"kibana\""), "{body}");
    assert_eq!(root.files(), files, "nothing was written");
    program.exits_cleanly();
}
