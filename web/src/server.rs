//! The server: one port for the API, the panel, attached clients and viewers.

use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::h1::Codec;
use actix_http::{HttpService, Request, ServiceConfig};
use actix_rt::net::TcpStream;
use actix_service::{Service, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use socket2::SockRef;

use crate::app::create_app;
use crate::incoming::{Connection, Incoming};
use crate::state::AppState;
use crate::upgrade;

pub use actix_server::Server;

/// How long a client may take to send a request's head, and how long an idle connection is kept.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the 60 s that proxies keep idle connections to us: they, not we, close them.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Libraries below this crate that log what they do for every connection, and the level from which on it is news.
pub const CHATTY_LIBRARIES: [(&str, log::LevelFilter); 2] =
    [("actix_server", log::LevelFilter::Warn), ("actix_http", log::LevelFilter::Error)];

/// A handshake as actix-http hands it over.
type Handshake = (Request, Framed<Incoming<TcpStream>, Codec>);

/// How the server runs.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// How many threads serve connections.
    pub threads: usize,
    /// How long open requests may go on once it is stopped.
    pub shutdown_timeout: Duration,
}

/// Has the kernel break a connection whose other end has taken nothing for as long, whether it has gone or only reads
/// nothing (`TCP_USER_TIMEOUT` of tcp(7)): nothing above it hears of an answer that waits in its buffers.
fn limit_writes(stream: &TcpStream, limit: Duration) {
    // An end that has gone by now is noticed all the same.
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(limit));
}

async fn serve_handshake(
    state: AppState,
    request: Request,
    connection: Connection,
) -> Result<(), actix_web::Error> {
    let sockets = state.sockets.clone();
    sockets.track_future(upgrade::serve(state, request, connection)).await;
    Ok(())
}

/// Serves `listener` until the returned server's handle stops it. Signals are the caller's.
///
/// # Errors
/// The listener can't be used.
pub fn run(listener: TcpListener, state: AppState, settings: ServerSettings) -> std::io::Result<Server> {
    listener.set_nonblocking(true)?;
    let seconds = settings.shutdown_timeout.as_secs_f64().ceil();
    let server = Server::build()
        .workers(settings.threads)
        // A few seconds: far inside the range of an unsigned integer.
        .shutdown_timeout(seconds as u64)
        .disable_signals()
        .listen("camofleet", listener, move || {
            let app = create_app(state.clone());
            let handshakes = state.clone();
            let upgrade = fn_factory(move || {
                let state = handshakes.clone();
                async move {
                    Ok::<_, ()>(fn_service(move |(request, connection): Handshake| {
                        let connection = Incoming::into_handshake(connection);
                        serve_handshake(state.clone(), request, connection)
                    }))
                }
            });
            let http = HttpService::build()
                // A client that closes its side has left: its handler is dropped, and so whatever it waits for is too.
                .h1_allow_half_closed(false)
                // `Incoming` has the limit, for every request of a connection.
                .client_request_timeout(Duration::ZERO)
                .keep_alive(KEEP_ALIVE)
                .upgrade(upgrade)
                .on_connect_ext(|connection: &Incoming<TcpStream>, data| {
                    data.insert(connection.refusal());
                })
                .h1(map_config(app, |()| AppConfig::default()));
            let write_timeout = state.settings.write_timeout;
            fn_factory(move || {
                let http = http.new_service(());
                async move {
                    let http = Rc::new(http.await?);
                    // What reads ahead shares it, as each has a clock of its own.
                    let config = ServiceConfig::default();
                    Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                        limit_writes(&stream, write_timeout);
                        let peer = stream.peer_addr().ok();
                        http.call((Incoming::new(stream, config.clone(), CLIENT_TIMEOUT), peer))
                    }))
                }
            })
        })?;
    Ok(server.run())
}
