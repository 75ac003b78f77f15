//! The listener over real sockets: files sent by the kernel, floods, stalls and drain.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{convert::Infallible, io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use berth_runtime::{
    Stop,
    serve::{Inbound, Limits, SendFile, serve},
    tls::{self, Certificates},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::service_fn;

const FILE_BYTES: usize = 3_500_000;

fn content() -> Vec<u8> {
    (0..FILE_BYTES)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect()
}

/// `/file` answers with a file, `/echo` with the request's body, `/slow` after a moment.
async fn start(limits: Limits) -> (SocketAddr, Stop, JoinHandle<std::io::Result<()>>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content()).unwrap();
    let file = Arc::new(file);
    let service = service_fn(move |request: Request<Inbound>| {
        let file = file.clone();
        async move {
            let response = match request.uri().path() {
                "/file" => {
                    // The body differs from the file, so that the test sees which of them was sent.
                    let length = FILE_BYTES as u64 - 10;
                    let mut response = Response::new(Full::new(Bytes::from(vec![0; FILE_BYTES - 10])));
                    response.headers_mut().insert("content-length", length.into());
                    response.extensions_mut().insert(SendFile {
                        file,
                        offset: 10,
                        length,
                    });
                    response
                }
                "/echo" => match request.into_body().collect().await {
                    Ok(body) => Response::new(Full::new(body.to_bytes())),
                    Err(error) => {
                        let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
                        *response.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
                        response
                    }
                },
                "/slow" => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Response::new(Full::new(Bytes::from_static(b"slow")))
                }
                _ => Response::new(Full::new(Bytes::new())),
            };
            Ok::<_, Infallible>(response)
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Stop::new();
    #[expect(clippy::disallowed_methods, reason = "the test awaits the handle")]
    let running = tokio::spawn(serve(listener, None, limits, service, stop.clone()));
    (address, stop, running)
}

async fn exchange(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

fn body(answer: &[u8]) -> &[u8] {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    &answer[end + 4..]
}

#[tokio::test]
async fn files_are_sent_whole_and_in_their_turn() {
    let (address, stop, running) = start(Limits::default()).await;
    // Three answers on one connection: the queue of files must keep their order and leave other answers alone.
    let answer = exchange(
        address,
        "GET /file HTTP/1.1\r\nhost: x\r\n\r\nHEAD /file HTTP/1.1\r\nhost: x\r\n\r\nPOST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello\
         GET /file HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    let want = &content()[10..];
    let first = body(&answer);
    assert!(first[..want.len()] == *want, "first file");
    let rest = &first[want.len()..];
    let after_head = body(rest);
    let echo = body(after_head);
    assert_eq!(&echo[..5], b"hello");
    assert!(body(&echo[5..]) == want, "second file");
    stop.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flood_of_silent_connections_leaves_others_served() {
    let (address, stop, running) = start(Limits {
        connections: 64,
        ..Limits::default()
    })
    .await;
    let mut silent = Vec::new();
    for turn in 0..1000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Half of them are slow-loris: a head that never ends.
        if turn % 2 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        }
        silent.push(stream);
        if turn % 100 == 99 {
            let answer = exchange(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            assert!(
                answer.starts_with(b"HTTP/1.1 200"),
                "after {turn} silent connections"
            );
        }
    }
    drop(silent);
    stop.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let limits = Limits {
        stalled: Duration::from_millis(100),
        ..Limits::default()
    };
    let (address, stop, running) = start(limits).await;
    let answer = exchange(
        address,
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf",
    )
    .await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("no progress"), "{text}");
    stop.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refused_body_costs_neither_the_answer_nor_the_connection() {
    let limits = Limits {
        stalled: Duration::from_millis(300),
        ..Limits::default()
    };
    let (address, stop, running) = start(limits).await;
    let last = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let chunked = format!("10000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10000));
    for (what, head, body, kept) in [
        ("a body", "content-length: 5000000", "x".repeat(5_000_000), true),
        ("chunks", "transfer-encoding: chunked", chunked, true),
        (
            "a body that does not come",
            "content-length: 10",
            "x".to_owned(),
            false,
        ),
        (
            "a body nobody asks for",
            "content-length: 10\r\nexpect: 100-continue",
            String::new(),
            false,
        ),
    ] {
        let after = if kept { last } else { "" };
        let answer = exchange(
            address,
            &format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}{after}"),
        )
        .await;
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(
            text.matches("HTTP/1.1 200").count(),
            1 + usize::from(kept),
            "{what}: {text}"
        );
        assert_eq!(text.matches("connection: close").count(), 1, "{what}: {text}");
    }
    stop.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() {
    let limits = Limits {
        stalled: Duration::from_millis(100),
        ..Limits::default()
    };
    let (address, stop, running) = start(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..8 {
        stream
            .write_all(b"GET /file HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
    }
    // Once the connection is given up the listener can drain although this side still holds its end.
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.stop();
    tokio::time::timeout(Duration::from_secs(20), running)
        .await
        .expect("the drain ends")
        .unwrap()
        .unwrap();
    drop(stream);
}

#[tokio::test]
async fn a_request_in_flight_is_finished_by_the_drain() {
    let (address, stop, running) = start(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.stop();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(body(&answer), b"slow");
    running.await.unwrap().unwrap();
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused_and_others_served() {
    let (address, stop, running) = start(Limits::default()).await;
    let ordinary = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let many: String = (0..150).map(|index| format!("x-{index}: y\r\n")).collect();
    for (what, fields) in [
        ("300 KiB of head", format!("x: {}\r\n", "y".repeat(300 * 1024))),
        ("150 header fields", many),
    ] {
        let answer = exchange(address, &format!("{ordinary}{fields}\r\n")).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 431"),
            "{what}: {text}"
        );
    }
    let answer = exchange(address, &format!("{ordinary}\r\n")).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    stop.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let limits = Limits {
        head: Duration::from_millis(100),
        ..Limits::default()
    };
    let (address, stop, running) = start(limits).await;
    let answer = tokio::time::timeout(
        Duration::from_secs(20),
        exchange(address, "GET / HTTP/1.1\r\nx: "),
    );
    let answer = answer.await.expect("the connection is closed");
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    stop.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handshake_that_never_begins_is_given_up() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let shown = Certificates::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let tls = tls::server(shown, None).unwrap();
    let service = service_fn(|_: Request<Inbound>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Stop::new();
    let limits = Limits {
        handshake: Duration::from_millis(100),
        ..Limits::default()
    };
    #[expect(clippy::disallowed_methods, reason = "the test awaits the handle")]
    let running = tokio::spawn(serve(listener, Some(tls), limits, service, stop.clone()));
    let silent = exchange(address, "");
    let answer = tokio::time::timeout(Duration::from_secs(20), silent)
        .await
        .expect("the connection is closed");
    assert!(answer.is_empty());
    stop.stop();
    running.await.unwrap().unwrap();
}
