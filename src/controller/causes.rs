//! An error with all its causes in one line: kube's own text ends at `client error (Connect)`, and why is further in.

use std::error::Error;

/// The error's text and that of each cause, from the outermost inwards; none is said twice. The API server's own words, where
/// it said any, are followed by the status code.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) => return format!("{} ({})", status.message, status.code),
        // It has no more to say than that it is one.
        Some(kube::Error::Service(cause)) => return causes(&**cause),
        _ => {}
    }
    let said = error.to_string();
    let Some(source) = error.source() else { return said };
    // Many an outer text has the inner one in it, which is then replaced by what is to be said of that.
    let (short, whole) = (source.to_string(), causes(source));
    if whole.is_empty() || said.contains(&whole) {
        said
    } else if !short.is_empty() && said.contains(&short) {
        said.replacen(&short, &whole, 1)
    } else {
        format!("{said}: {whole}")
    }
}

/// Whether there was no answer at all, be it that there is no connection or that it ended.
pub(super) fn is_unreachable(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::ReadEvents(_))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use kube::Config;
    use kube::runtime::watcher;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;

    use super::*;
    use crate::controller::client;

    /// Why a client cannot reach this API server.
    async fn refusal(url: &str) -> kube::Error {
        // As the program does; with two providers linked, rustls would not know which to take.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::new(url.parse().unwrap());
        // The machine's own would decide what an unknown authority is.
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut trusted = rcgen::CertificateParams::new(vec!["other".to_owned()]).unwrap();
        trusted.distinguished_name.push(rcgen::DnType::CommonName, "another authority");
        config.root_cert = Some(vec![trusted.self_signed(&authority).unwrap().der().to_vec()]);
        client(config).unwrap().apiserver_version().await.unwrap_err()
    }

    /// Takes connections on loopback with a certificate that nobody knows.
    async fn tls_server() -> SocketAddr {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec![Ipv4Addr::LOCALHOST.to_string()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        address
    }

    /// What is told of an error, which is one line and says nothing twice.
    fn told(error: &kube::Error) -> String {
        assert!(is_unreachable(error), "{error:?}");
        let told = causes(error);
        assert!(told.lines().count() == 1, "{told}");
        for part in told.split(": ") {
            assert_eq!(told.matches(part).count(), 1, "{part} in {told}");
        }
        told
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_as_one() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let told = told(&refusal(&format!("https://{address}")).await);
        assert!(
            told.starts_with("client error (Connect): ") && told.contains("Connection refused"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_told_as_one() {
        // No name server is asked for it: a label may have 63 bytes. With TLS it would not even be looked up.
        let told = told(&refusal(&format!("http://{}.invalid", "a".repeat(64))).await);
        assert!(told.contains("dns error: "), "{told}");
    }

    #[tokio::test]
    async fn a_certificate_of_an_unknown_authority_is_told_as_one() {
        let told = told(&refusal(&format!("https://{}", tls_server().await)).await);
        assert!(told.contains("certificate") && told.contains("UnknownIssuer"), "{told}");
    }

    #[tokio::test]
    async fn the_cause_stands_where_a_watch_has_kubes_own_text() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = watcher::Error::InitialListFailed(refusal(&format!("https://{address}")).await);
        let told = causes(&error);
        assert!(
            told.starts_with("failed to perform initial object list: client error (Connect): "),
            "{told}"
        );
        assert!(told.contains("Connection refused") && !told.contains("ServiceError"), "{told}");
    }

    #[test]
    fn of_an_answer_the_api_servers_words_and_its_code_are_told() {
        let status = kube::core::Status::failure("secrets is forbidden", "Forbidden").with_code(403);
        let error = kube::Error::Api(status.boxed());
        assert!(!is_unreachable(&error));
        assert_eq!(causes(&error), "secrets is forbidden (403)");
        let told = causes(&watcher::Error::WatchStartFailed(error));
        assert_eq!(told, "failed to start watching object: secrets is forbidden (403)");
    }
}
