//! The vectors of Twilio's own libraries, and what they leave open.

use proptest::prelude::*;

use super::*;

const U: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

fn token() -> SecretString {
    SecretString::from("12345")
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn p() -> Vec<(String, String)> {
    form(&[
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ])
}

const OF_U: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
const OF_U_443: &str = "kvajT1Ptam85bY51eRf/AJRuM3w=";
const OF_HTTP_80: &str = "0ZXoZLH/DfblKGATFgpif+LLRf4=";
const OF_HTTP_1234: &str = "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=";

#[test]
fn forms_are_signed_as_twilios_libraries_do_it() {
    let check = |url: &str, pairs: &[(String, String)], expected: &str| {
        assert_eq!(sign(&token(), url, Payload::Form(pairs)), expected, "{url}");
        assert!(is_valid(&token(), expected, url, Payload::Form(pairs)), "{url}");
    };
    check(U, &p(), OF_U);
    check("https://mycompany.com:443/myapp.php?foo=1&bar=2", &p(), OF_U_443);
    check("http://mycompany.com:80/myapp.php?foo=1&bar=2", &p(), OF_HTTP_80);
    check("http://mycompany.com:1234/myapp.php?foo=1&bar=2", &p(), OF_HTTP_1234);
    check("https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", &p(), "CukzLTc1tT5dXEDIHm/tKBanW10=");
    let repeated = [
        ("Sid", "CA123"),
        ("SidAccount", "AC123"),
        ("Digits", "5678"),
        ("Digits", "1234"),
        ("Digits", "1234"),
    ];
    check(U, &form(&repeated), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
}

#[test]
fn a_port_may_be_there_or_not() {
    let check = |url: &str, signature: &str, expected| {
        assert_eq!(is_valid(&token(), signature, url, Payload::Form(&p())), expected, "{url} {signature}");
    };
    check(U, OF_U_443, true);
    check("https://mycompany.com:443/myapp.php?foo=1&bar=2", OF_U, true);
    check("https://mycompany.com:1234/myapp.php?foo=1&bar=2", OF_U, true);
    check("http://mycompany.com/myapp.php?foo=1&bar=2", OF_HTTP_80, true);
    check("http://mycompany.com:1234/myapp.php?foo=1&bar=2", OF_HTTP_80, true);
    check("http://mycompany.com:1234/myapp.php?foo=1&bar=2", OF_HTTP_1234, true);
    check("http://mycompany.com/myapp.php?foo=1&bar=2", OF_HTTP_1234, false);
    check(U, OF_HTTP_80, false);
}

#[test]
fn a_quote_may_be_escaped_or_not() {
    let signature = "TfZzewPq8wqrGlMfyAud8+/IvJ0=";
    let unescaped = format!("{U}&Body=It's+amazing");
    assert!(is_valid(&token(), signature, &unescaped, Payload::Form(&p())));
    let escaped = format!("{U}&Body=It%27s+amazing");
    assert!(is_valid(&token(), signature, &escaped, Payload::Form(&p())));
}

#[test]
fn a_body_counts_by_its_hash_in_the_address() {
    let url = format!("{U}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620");
    let body = br#"{"property": "value", "boolean": true}"#;
    let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
    assert!(is_valid(&token(), signature, &url, Payload::Body(body)));
    assert!(!is_valid(&token(), signature, &url, Payload::Body(b"{}")));
    assert!(!is_valid(&token(), signature, &url, Payload::Body(b"")));

    let url = "https://mycompany.com:443/myapp.php?foo=1&bar=2\
        &bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let signature = "Ldidvp12m26NI7eqEvxnEpkd9Hc=";
    assert!(is_valid(&token(), signature, url, Payload::Body(b"{}")));
    assert!(is_valid(&token(), signature, &url.replace(":443", ""), Payload::Body(b"{}")));

    // A signature over the address alone says nothing about a body.
    let over_query = sign(&token(), U, Payload::Query);
    assert!(is_valid(&token(), &over_query, U, Payload::Query));
    assert!(!is_valid(&token(), &over_query, U, Payload::Body(b"{}")));
}

#[test]
fn what_is_no_signature_of_this_request_is_refused() {
    let refused = |token: &SecretString, signature: &str, url: &str, pairs: &[(String, String)]| {
        assert!(!is_valid(token, signature, url, Payload::Form(pairs)), "{signature} {url}");
    };
    for signature in
        ["", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93/VVr8B9=", "AAAA", OF_U_443]
    {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=3";
        refused(&token(), signature, url, &p());
    }
    refused(&SecretString::from("12346"), OF_U, U, &p());
    refused(&token(), OF_U, U, &p()[1..]);
    refused(&token(), OF_U, U, &[p(), form(&[("Extra", "1")])].concat());
    refused(&token(), OF_U, &U.replace("mycompany", "yourcompany"), &p());
    assert!(!is_valid(&token(), OF_U, U, Payload::Query));
    // Neither is anything signed with nothing.
    assert!(!is_valid(&token(), "", "", Payload::Query));
}

#[test]
fn fragments_are_not_signed_and_other_ports_are_found() {
    assert!(is_valid(&token(), OF_U, &format!("{U}#rc=3&rp=5xx"), Payload::Form(&p())));
    let check = |url: &str, expected: &[&str]| assert_eq!(with_other_ports(url), expected, "{url}");
    check("https://a.test", &["https://a.test:443"]);
    check("https://a.test:443/x", &["https://a.test/x"]);
    check("https://a.test?x=/y:1", &["https://a.test:443?x=/y:1"]);
    check("https://u:p@a.test/x", &["https://u:p@a.test:443/x"]);
    check("https://u:p@a.test:8443/x", &["https://u:p@a.test/x", "https://u:p@a.test:443/x"]);
    check("http://[::1]/x", &["http://[::1]:80/x"]);
    check("http://[::1]:9/x", &["http://[::1]/x", "http://[::1]:80/x"]);
    check("nowhere", &[]);
}

proptest! {
    #[test]
    fn the_order_of_parameters_does_not_matter_and_every_one_counts(
        mut pairs in proptest::collection::vec(("[A-Za-z]{1,8}", ".{0,12}"), 1..8),
        name in "[A-Za-z]{1,8}",
    ) {
        let signature = sign(&token(), U, Payload::Form(&pairs));
        pairs.reverse();
        prop_assert!(is_valid(&token(), &signature, U, Payload::Form(&pairs)));
        pairs.push((name, "a value that is in none of the others".to_owned()));
        prop_assert!(!is_valid(&token(), &signature, U, Payload::Form(&pairs)));
    }

    #[test]
    fn nothing_that_arrives_makes_it_panic(signature in ".*", url in ".*", body in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(!is_valid(&token(), &signature, &url, Payload::Body(&body)));
    }
}
