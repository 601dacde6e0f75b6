use super::*;

fn policy(prefixes: &[&str], cidrs: &[&str]) -> Policy {
    Policy {
        allow_endpoints: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        allow_cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        ..Policy::default()
    }
}

fn check(policy: &Policy, url: &str) -> Result<(), Refusal> {
    policy.check_endpoint(&Url::parse(url).unwrap())
}

#[test]
fn every_way_to_write_a_private_address_is_refused() {
    let strict = policy(&[], &[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "0.0.0.0",
        "0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::8.8.8.8]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2001:2::1]",
        "[2001:10::1]",
        "[2001:db8::1]",
        "[3fff:1::1]",
        "[100::1]",
        "[5f00::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
    ] {
        assert_eq!(check(&strict, &format!("https://{host}/v1/")), Err(Refusal::PrivateAddress), "{host}");
    }
}

#[test]
fn public_addresses_are_allowed_also_through_nat64() {
    let strict = policy(&[], &[]);
    for host in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "223.255.255.255",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::8.8.8.8]",
        "[2606:4700::1111]",
        "[2001:4860:4860::8888]",
        "caas.example.com",
    ] {
        assert_eq!(check(&strict, &format!("https://{host}/v1/")), Ok(()), "{host}");
    }
}

#[test]
fn an_allowed_network_opens_itself_also_when_embedded_and_nothing_else() {
    let policy = policy(&[], &["10.0.0.0/8", "fd00::/8"]);
    for host in [
        "10.1.2.3",
        "[::ffff:10.1.2.3]",
        "[64:ff9b::10.1.2.3]",
        "[2002:a01:203::1]",
        "[::10.1.2.3]",
        "[fd00::1]",
    ] {
        assert_eq!(check(&policy, &format!("https://{host}/")), Ok(()), "{host}");
    }
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[2002:7f00:1::]", "[fc00::1]", "169.254.169.254"] {
        assert_eq!(check(&policy, &format!("https://{host}/")), Err(Refusal::PrivateAddress), "{host}");
    }
}

#[test]
fn a_prefix_covers_whole_segments_of_its_own_origin_only() {
    let policy = policy(&["https://a.com/v1", "https://b.com:8443/x/y/"], &[]);
    for url in
        ["https://a.com/v1", "https://a.com:443/v1/", "https://A.com/v1/sub/", "https://b.com:8443/x/y"]
    {
        assert_eq!(check(&policy, url), Ok(()), "{url}");
    }
    for url in [
        "https://a.com.evil/v1/",
        "https://a.com./v1/",
        "https://a.com/v1evil/",
        "https://a.com/",
        "https://a.com/v1/../v2/",
        "https://a.com/v1/%2e%2e/v2/",
        "https://a.com/v1%2fx/",
        "https://a.com:8443/v1/",
        "https://b.com/x/y/",
        "https://b.com:8443/x/",
        "https://sub.a.com/v1/",
    ] {
        assert_eq!(check(&policy, url), Err(Refusal::NotAllowed), "{url}");
    }
}

#[test]
fn plain_http_needs_permission_and_other_schemes_are_always_refused() {
    let strict = policy(&[], &[]);
    assert_eq!(check(&strict, "http://caas.example.com/"), Err(Refusal::NotHttps));
    let lenient = Policy { allow_http: true, ..strict };
    assert_eq!(check(&lenient, "http://caas.example.com/"), Ok(()));
    for url in ["ftp://caas.example.com/", "file:///etc/passwd", "unix:/run/x.sock", "data:text/plain,x"] {
        assert_eq!(check(&lenient, url), Err(Refusal::NotAnEndpoint), "{url}");
    }
}

#[test]
fn an_endpoint_has_no_user_query_or_fragment_and_a_request_may_have_a_query() {
    let strict = policy(&[], &[]);
    for url in [
        "https://u@a.com/",
        "https://u:p@a.com/",
        "https://:p@a.com/",
        "https://a.com/?x",
        "https://a.com/#x",
    ] {
        assert_eq!(check(&strict, url), Err(Refusal::NotAnEndpoint), "{url}");
    }
    assert_eq!(strict.check_request(&Url::parse("https://a.com/?page=2").unwrap()), Ok(()));
    assert_eq!(strict.check_request(&Url::parse("https://u@a.com/").unwrap()), Err(Refusal::NotAnEndpoint));
    assert_eq!("https://u@a.com/".parse::<Prefix>(), Err(Refusal::NotAnEndpoint));
}

#[test]
fn a_path_that_a_server_may_read_as_another_one_is_refused() {
    let policy = policy(&["https://a.com/v1"], &[]);
    for path in [
        "/v1/..;/admin/",
        "/v1/..;a=b/admin/",
        "/v1/.;/",
        "/v1/;/",
        "/v1//",
        "/v1//admin",
        "//v1/",
        "/v1/%2e%2e%3b/admin/",
        "/v1/..%3B/admin/",
        "/v1/..%2fadmin/",
        "/v1/%2e%2e%2Fadmin/",
        "/v1/..%5cadmin/",
        "/v1/%252e%252e%252fadmin/",
        "/v1/a%2f..%2f..%2fadmin/",
    ] {
        let url = format!("https://a.com{path}");
        assert_eq!(check(&policy, &url), Err(Refusal::AmbiguousPath), "{path}");
        let page = Url::parse(&format!("{url}?page=2")).unwrap();
        assert_eq!(policy.check_request(&page), Err(Refusal::AmbiguousPath), "{path}");
        assert_eq!(url.parse::<Prefix>(), Err(Refusal::AmbiguousPath), "{path}");
    }
    for path in ["/v1/services/a%2Fb/", "/v1/a;b=c/", "/v1/.hidden", "/v1/..."] {
        assert_eq!(check(&policy, &format!("https://a.com{path}")), Ok(()), "{path}");
    }
}

#[test]
fn where_a_proxy_resolves_names_the_one_of_its_own_machine_is_refused() {
    let through =
        |cidrs| Policy { proxy: Some("http://proxy.example:3128".parse().unwrap()), ..policy(&[], cidrs) };
    for host in ["localhost", "localhost.", "api.localhost", "API.LOCALHOST."] {
        let url = format!("https://{host}/");
        assert_eq!(check(&through(&[]), &url), Err(Refusal::PrivateAddress), "{host}");
        assert_eq!(check(&through(&["127.0.0.0/8"]), &url), Ok(()), "{host}");
    }
    assert_eq!(check(&through(&[]), "https://10.0.0.1/"), Err(Refusal::PrivateAddress));
    assert_eq!(check(&through(&[]), "https://notlocalhost/"), Ok(()));
}
