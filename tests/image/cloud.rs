//! A simulated cloud behind TLS, and the only name server that resolves its name.

use std::net::{Ipv4Addr, SocketAddr};

use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use tokio::net::UdpSocket;

use crate::authority::Authority;

/// Its name.
const NAME: &str = "cloud.caas.test";

/// The password of its user, `acme`.
pub(crate) const PASSWORD: &str = "secret";

/// A running cloud, and its endpoint by name.
pub(crate) async fn start(authority: &Authority) -> (Running, String) {
    let user = AccountSettings { password: Some(PASSWORD.into()), ..AccountSettings::new("acme") };
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        accounts: vec![user],
        tls: Some(authority.server(NAME).unwrap()),
        ..Settings::default()
    };
    let cloud = Simulator::start(settings).await.unwrap();
    tokio::spawn(answer_names(UdpSocket::bind("127.0.0.1:53").await.unwrap()));
    let endpoint = format!("https://{NAME}:{}/v1/", cloud.addr.port());
    (cloud, endpoint)
}

/// Answers each question for an IPv4 address with 127.0.0.1, and every other with nothing (RFC 1035).
async fn answer_names(socket: UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
        let question_end = 12 + packet[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
        let for_ipv4 = packet[question_end - 4..question_end - 2] == [0, 1];
        let mut answer = packet[..question_end].to_vec();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(for_ipv4), 0, 0, 0, 0]);
        if for_ipv4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        socket.send_to(&answer, peer).await.unwrap();
    }
}
