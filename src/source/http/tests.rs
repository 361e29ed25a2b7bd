#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{settings, Reply, Server};
use super::*;
use crate::source::address::parse_base_url;

const SECRET: &str = "cs_top/secret";

fn client(server: &Server, settings: HttpSettings) -> (Client, Url) {
    let base = parse_base_url(&server.url()).unwrap();
    (
        Client::new(&base, settings, None, Secrets::new(&[SECRET])).unwrap(),
        base,
    )
}

/// Sends one GET with the secret in its query, as keys in a query do.
fn get(server: &Server, settings: HttpSettings) -> (Result<Value>, u32) {
    let (client, base) = client(server, settings);
    let meter = Meter::default();
    let result = client.json(&base, &meter, &|url| {
        let mut url = url.clone();
        url.query_pairs_mut().append_pair("consumer_secret", SECRET);
        Ok(Outgoing::get(url))
    });
    if let Err(error) = &result {
        let shown = format!("{error:?}");
        assert!(!shown.contains("cs_top"), "{shown}");
        assert!(!shown.contains("consumer_secret"), "{shown}");
    }
    (result.map(|(_, json)| json), meter.requests())
}

fn failure(replies: Vec<Reply>, settings: HttpSettings) -> (Error, u32) {
    let (result, requests) = get(&Server::script(replies), settings);
    (result.unwrap_err(), requests)
}

#[test]
fn a_passing_failure_is_tried_again() {
    for reply in [
        Reply::new(429, "{}").header("Retry-After", 0),
        Reply::new(500, "{}"),
        Reply::new(502, "<html>"),
        Reply::new(503, "{}"),
        Reply::new(504, ""),
        Reply::hang_up(),
        Reply::ok("[1, 2").cut(),
        Reply::ok("[1, 2"),
    ] {
        let server = Server::script(vec![reply.clone(), Reply::ok("[1]")]);
        let (result, requests) = get(&server, settings());
        assert_eq!(result.ok(), Some(serde_json::json!([1])), "{reply:?}");
        assert_eq!(requests, 2);
    }
}

#[test]
fn a_lasting_failure_is_reported_after_the_retries() {
    for (reply, code, requests) in [
        (Reply::new(429, "{}"), Code::Throttled, 4),
        (Reply::new(500, "{}"), Code::Nonsense, 2),
        (Reply::new(502, "<html>"), Code::Nonsense, 4),
        (Reply::hang_up(), Code::TimedOut, 4),
        (Reply::ok("[1, 2").cut(), Code::Nonsense, 4),
        (Reply::ok("<html>"), Code::Nonsense, 1),
        (Reply::ok(""), Code::Nonsense, 1),
        (Reply::new(400, "{}"), Code::Nonsense, 1),
        (Reply::new(401, "{}"), Code::RemoteAuth, 1),
        (Reply::new(403, "{}"), Code::RemoteAuth, 1),
        (Reply::new(404, "<html>"), Code::Nonsense, 1),
    ] {
        let (error, sent) = failure(vec![reply.clone()], settings());
        assert_eq!((error.code, sent), (code, requests), "{reply:?}");
    }
}

#[test]
fn a_long_retry_after_is_not_waited_for() {
    let body = r#"{"code":"wp_die","message":"Briefly unavailable for scheduled maintenance. Check back in a minute."}"#;
    let (error, requests) = failure(vec![Reply::new(503, body).header("Retry-After", 600)], settings());
    assert_eq!((error.code, requests), (Code::Nonsense, 1));
    assert_eq!(error.retry_after, Some(Duration::from_secs(600)));
    assert!(error.detail.unwrap().contains("scheduled maintenance"));

    let (error, requests) = failure(vec![Reply::new(429, "{}").header("Retry-After", 61)], settings());
    assert_eq!((error.code, requests), (Code::Throttled, 1));
    assert_eq!(error.retry_after, Some(Duration::from_secs(61)));
}

#[test]
fn a_slow_remote_times_out() {
    let settings = HttpSettings {
        timeout: Duration::from_millis(150),
        retry: Retry {
            max: 1,
            ..settings().retry
        },
        ..settings()
    };
    let late = Duration::from_millis(500);
    for reply in [
        Reply::ok("[]").after(late),
        Reply::ok("[1, 2]").stalling(late),
        Reply::ok(BOMB).header("Content-Encoding", "gzip").stalling(late),
    ] {
        let (error, requests) = failure(vec![reply.clone()], settings.clone());
        assert_eq!((error.code, requests), (Code::TimedOut, 2), "{reply:?}");
    }
}

#[test]
fn what_must_not_happen_twice_is_not_repeated() {
    for reply in [
        Reply::hang_up(),
        Reply::new(502, "{}"),
        Reply::new(500, "{}"),
        Reply::ok("[").cut(),
    ] {
        let server = Server::script(vec![reply, Reply::ok("[]")]);
        let (client, base) = client(&server, settings());
        let meter = Meter::default();
        let write = |url: &Url| {
            Ok(Outgoing {
                method: Method::POST,
                repeatable: false,
                ..Outgoing::get(url.clone())
            })
        };
        client.json(&base, &meter, &write).unwrap_err();
        assert_eq!(meter.requests(), 1);
    }
}

#[test]
fn nothing_listens() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let base = parse_base_url(&format!("http://{address}")).unwrap();
    let client = Client::new(&base, settings(), None, Secrets::default()).unwrap();
    let meter = Meter::default();
    let error = client
        .json(&base, &meter, &|url| Ok(Outgoing::get(url.clone())))
        .unwrap_err();
    let requests = meter.requests();
    assert_eq!((error.code, requests), (Code::Unreachable, 4));
    assert!(!error.stays, "somebody may listen there in a moment");
}

#[test]
fn loopback_is_refused_unless_listed() {
    let server = Server::script(vec![Reply::ok("[]")]);
    let (result, requests) = get(
        &server,
        HttpSettings {
            allowed_hosts: Vec::new(),
            ..settings()
        },
    );
    let error = result.unwrap_err();
    assert_eq!((error.code, requests), (Code::Unreachable, 0));
    assert!(error.hint.unwrap().contains("sync_ext.allowed_hosts"));
    assert!(server.seen().is_empty());
}

#[test]
fn a_name_that_resolves_to_loopback_is_refused_when_connecting() {
    let server = Server::script(vec![Reply::ok("[]")]);
    let base = parse_base_url(&format!("http://localhost:{}", server.address.port())).unwrap();
    let send = |allowed: &str| {
        let settings = HttpSettings {
            allowed_hosts: vec![allowed.to_owned()],
            ..settings()
        };
        let client = Client::new(&base, settings, None, Secrets::default()).unwrap();
        client.json(&base, &Meter::default(), &|url| Ok(Outgoing::get(url.clone())))
    };
    let error = send("10.0.0.0/8").unwrap_err();
    assert_eq!(error.code, Code::Unreachable);
    assert!(error.message.contains("not allowed") && error.stays, "{error:?}");
    assert!(send("localhost").is_ok());
}

#[test]
fn redirects_stay_on_the_origin() {
    let moved = |to: &str| Reply::new(301, "").header("Location", to);
    let server = Server::script(vec![moved("/other/?oauth_nonce=old"), Reply::ok("[2]")]);
    assert_eq!(get(&server, settings()).0.unwrap(), serde_json::json!([2]));
    let second = &server.seen()[1];
    assert_eq!(
        (second.path.as_str(), second.param("oauth_nonce")),
        ("/other/", None)
    );
    assert_eq!(second.param("consumer_secret"), Some(SECRET));

    let elsewhere = Server::script(vec![Reply::ok("[]")]);
    for target in [
        elsewhere.url(),
        "http://169.254.169.254/".to_owned(),
        "https://shop.example/".to_owned(),
    ] {
        let target = format!("{target}?consumer_secret={SECRET}");
        let (error, requests) = failure(vec![moved(&target)], settings());
        assert_eq!((error.code, requests), (Code::Unreachable, 1), "{target}");
        assert!(error.stays, "{target}");
    }
    assert!(elsewhere.seen().is_empty());

    let (error, requests) = failure(vec![moved("/again")], settings());
    assert_eq!((error.code, requests), (Code::Nonsense, 4));
}

#[test]
fn a_body_beyond_the_limit_is_refused_even_if_it_is_small_on_the_wire() {
    let small = HttpSettings {
        max_body_bytes: 1000,
        ..settings()
    };
    let (error, requests) = failure(vec![Reply::ok(vec![b' '; 2000])], small.clone());
    assert_eq!((error.code, requests), (Code::Nonsense, 1));
    let bomb = Reply::ok(BOMB).header("Content-Encoding", "gzip");
    assert!(BOMB.len() < 1000);
    let (error, _) = failure(vec![bomb], small);
    assert!(error.message.contains("bigger"), "{error:?}");
}

/// 100,000 spaces, compressed.
const BOMB: &[u8] = include_bytes!("spaces.gz");

#[test]
fn junk_is_told_apart() {
    for (body, hint) in [
        ("<!DOCTYPE html>\n<title>Maintenance</title>", "maintenance page"),
        ("\u{feff}hello", "not JSON"),
    ] {
        let (error, requests) = failure(vec![Reply::ok(format!("{body} cs_top/secret"))], settings());
        assert_eq!((error.code, requests), (Code::Nonsense, 1));
        let text = format!("{} {}", error.message, error.hint.unwrap());
        assert!(text.contains(hint), "{text}");
        assert!(error.detail.is_some());
    }
}

#[test]
fn a_kind_of_remote_knows_its_own_junk() {
    let hints = Hints {
        clutter: |head| head.starts_with("woof").then_some(("barking", "Walk the dog.")),
        page: "Ring twice.",
        nothing_here: "Go round the back.",
    };
    for (reply, hint) in [
        (Reply::ok("Woof! []"), "Walk the dog."),
        (Reply::ok("<html>"), "Ring twice."),
        (Reply::new(404, "<html>"), "Go round the back."),
    ] {
        let (client, base) = client(&Server::script(vec![reply]), settings());
        let get = |url: &Url| Ok(Outgoing::get(url.clone()));
        let error = client
            .with_hints(hints)
            .json(&base, &Meter::default(), &get)
            .unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(hint), "{error:?}");
    }
}

#[test]
fn a_fatal_error_shows_neither_paths_nor_markup() {
    let body = r#"{"code":"internal_server_error","message":"<p>There has been a critical error on this website.</p>",
        "data":{"status":500,"error":{"message":"Uncaught Error in /var/www/html/lab.php:10"}}}"#;
    let (error, _) = failure(vec![Reply::new(500, body)], settings());
    assert_eq!(
        error.detail.unwrap(),
        "internal_server_error: There has been a critical error on this website."
    );
}

#[test]
fn the_date_header_is_the_remotes_clock() {
    let server = Server::script(vec![
        Reply::ok("[]").header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
    ]);
    let (client, base) = client(&server, settings());
    let (response, _) = client
        .json(&base, &Meter::default(), &|url| Ok(Outgoing::get(url.clone())))
        .unwrap();
    assert_eq!(response.date().unwrap().to_rfc3339(), "1994-11-06T08:49:37+00:00");
    assert!(server.seen()[0]
        .head
        .to_lowercase()
        .contains("user-agent: sync_ext/"));
}

#[test]
fn a_bad_ca_is_reported() {
    assert_eq!(certificates("nonsense").unwrap_err().code, Code::Invalid);
}
