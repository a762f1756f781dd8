//! Each thing that the proxy of chaos does to a connection, by itself.
//!
//! Time is paused: it goes on when everybody waits, so that a delay is exact and costs nothing.

use paxos_bench::chaos::{Proxy, Way};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Two ends with a proxy in between.
struct Ends {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    async fn new() -> Ends {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
        let client = TcpStream::connect(proxy.endpoint()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut ends = Ends { proxy, listener, client, server };
        // From here on the proxy has heard of both.
        forth(&mut ends).await;
        back(&mut ends).await;
        ends
    }
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) {
    let sent: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let mut read = vec![0; bytes];
    let (wrote, got) = tokio::join!(from.write_all(&sent), to.read_exact(&mut read));
    wrote.unwrap();
    got.unwrap();
    assert_eq!(read, sent);
}

async fn forth(ends: &mut Ends) {
    pass(&mut ends.client, &mut ends.server, 100_000).await;
}

async fn back(ends: &mut Ends) {
    pass(&mut ends.server, &mut ends.client, 100_000).await;
}

/// Nothing comes for a minute.
async fn is_silent(stream: &mut TcpStream) {
    let minute = timeout(Duration::from_secs(60), stream.read_u8()).await;
    assert!(minute.is_err(), "{minute:?}");
}

async fn is_reset(stream: &mut TcpStream) {
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_all_bytes_pass_in_order_and_an_end_is_passed_on() {
    let mut ends = Ends::new().await;
    assert_eq!((ends.proxy.accepted(), ends.proxy.bytes()), (1, 200_000));
    drop(ends.client);
    assert_eq!(ends.server.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(ends.proxy.resets(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_way_is_late_and_the_other_is_not() {
    let mut ends = Ends::new().await;
    ends.proxy.set_forth(Way { delay_ms: 700, ..Way::default() });
    let began = Instant::now();
    forth(&mut ends).await;
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    ends.proxy.heal();
    let began = Instant::now();
    back(&mut ends).await;
    forth(&mut ends).await;
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_way_passes_so_many_bytes_a_second() {
    let mut ends = Ends::new().await;
    ends.proxy.set_back(Way { bytes_per_s: Some(10_000), ..Way::default() });
    let began = Instant::now();
    back(&mut ends).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(9_900), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_way_holds_what_is_sent_until_it_opens_and_the_other_passes() {
    let mut ends = Ends::new().await;
    ends.proxy.set_forth(Way::BLOCKED);
    ends.client.write_all(&[7]).await.unwrap();
    back(&mut ends).await;
    is_silent(&mut ends.server).await;
    ends.proxy.heal();
    assert_eq!(ends.server.read_u8().await.unwrap(), 7);
    ends.proxy.set_back(Way::BLOCKED);
    ends.server.write_all(&[8]).await.unwrap();
    forth(&mut ends).await;
    is_silent(&mut ends.client).await;
    ends.proxy.set_back(Way::default());
    assert_eq!(ends.client.read_u8().await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_stalls_accepts_and_passes_nothing_either_way() {
    let ends = Ends::new().await;
    ends.proxy.set_forth(Way::BLOCKED);
    ends.proxy.set_back(Way::BLOCKED);
    let mut late = TcpStream::connect(ends.proxy.endpoint()).await.unwrap();
    let (mut server, _) = ends.listener.accept().await.unwrap();
    late.write_all(&[1]).await.unwrap();
    server.write_all(&[2]).await.unwrap();
    is_silent(&mut server).await;
    is_silent(&mut late).await;
    ends.proxy.heal();
    assert_eq!(server.read_u8().await.unwrap(), 1);
    assert_eq!(late.read_u8().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cut_resets_both_ends_and_lets_new_connections_in() {
    let mut ends = Ends::new().await;
    ends.proxy.cut();
    is_reset(&mut ends.client).await;
    is_reset(&mut ends.server).await;
    assert_eq!(ends.proxy.resets(), 1);
    ends.client = TcpStream::connect(ends.proxy.endpoint()).await.unwrap();
    (ends.server, _) = ends.listener.accept().await.unwrap();
    forth(&mut ends).await;
}

#[tokio::test(start_paused = true)]
async fn a_blocked_connection_can_be_cut_too() {
    let mut ends = Ends::new().await;
    ends.proxy.set_forth(Way::BLOCKED);
    ends.client.write_all(&[7]).await.unwrap();
    ends.proxy.cut();
    is_reset(&mut ends.client).await;
    is_reset(&mut ends.server).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_refuses_resets_new_connections_and_keeps_old_ones() {
    let mut ends = Ends::new().await;
    ends.proxy.refuse(true);
    let mut refused = TcpStream::connect(ends.proxy.endpoint()).await.unwrap();
    is_reset(&mut refused).await;
    forth(&mut ends).await;
    ends.proxy.heal();
    ends.client = TcpStream::connect(ends.proxy.endpoint()).await.unwrap();
    (ends.server, _) = ends.listener.accept().await.unwrap();
    back(&mut ends).await;
}

#[tokio::test(start_paused = true)]
async fn without_anybody_behind_it_connections_end() {
    let ends = Ends::new().await;
    drop(ends.listener);
    let mut alone = TcpStream::connect(ends.proxy.endpoint()).await.unwrap();
    // An orderly end or a reset: whichever, it is no connection.
    assert!(!matches!(alone.read(&mut [0]).await, Ok(1..)));
}
