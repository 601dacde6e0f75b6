//! A million series as text, compared with the `prometheus` crate's encoder, and all that a cycle renders of them.
//! Measured in CPU time of one thread, on which the machine's other load has less influence.

use anyhow::Result;
use caas_operator::exposition::Renderer;
use prometheus::{Encoder, TextEncoder};

use super::children::{Done, report};
use super::process::thread_cpu_seconds;
use super::series;
use super::table::{Row, best, time};

pub(crate) fn rows() -> Result<Vec<Row>> {
    let done = Done::of("rendering", &[])?;
    let (peer, ours, whole) = (done.get("peer")?, done.get("ours")?, done.get("whole")?);
    Ok(vec![
        Row::at_least("rendering 1 M series", time(peer), time(ours), peer / ours, 100.0),
        Row::plain("the same: both formats, compressed, once a cycle", time(peer), time(whole), peer / whole),
    ])
}

/// In a child: each in turn, so that other load affects all of them alike.
pub(crate) fn both() -> Result<()> {
    let values = series::values();
    let registry = series::registry(&values)?;
    let (mut renderer, mut text, mut encoded) = (Renderer::default(), Vec::new(), Vec::new());
    let (mut ours, mut whole, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        encoded.clear();
        let started = thread_cpu_seconds()?;
        TextEncoder::new().encode(&registry.gather(), &mut encoded)?;
        peer.push(thread_cpu_seconds()? - started);
        for _ in 0..5 {
            text.clear();
            let started = thread_cpu_seconds()?;
            renderer.text(&values, &series::OPTIONS, &mut text);
            ours.push(thread_cpu_seconds()? - started);
        }
        let started = thread_cpu_seconds()?;
        drop(renderer.render(&values, &series::OPTIONS));
        whole.push(thread_cpu_seconds()? - started);
    }
    // Both contain the same series, except the account's own.
    let lines =
        |text: &[u8]| text.split(|byte| *byte == b'\n').filter(|line| line.first() != Some(&b'#')).count();
    anyhow::ensure!(lines(&text).abs_diff(lines(&encoded)) < 10, "ours and the peer's differ");
    report("ours", best(&ours));
    report("whole", best(&whole));
    report("peer", best(&peer));
    Ok(())
}
