//! The HTTP server: one port for the API, the panel, attached clients and viewers.

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

/// How long a client may take to send a request's head.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: longer than the 60 s of proxies, so that they close it first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Libraries that log each connection: the prefixes of their names and the level at which their lines are kept.
pub const CHATTY_LIBRARIES: [(&str, log::LevelFilter); 2] =
    [("actix_server", log::LevelFilter::Warn), ("actix_http", log::LevelFilter::Error)];

/// A handshake with its connection, as actix-http hands it over.
type Handshake = (Request, Framed<Incoming<TcpStream>, Codec>);

/// Settings of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// The number of threads that serve connections.
    pub threads: usize,
    /// How long open requests may go on after a stop.
    pub shutdown_timeout: Duration,
}

/// Makes the kernel close a connection whose peer has acknowledged no data for this long, because it is gone or does not
/// read (`TCP_USER_TIMEOUT` of tcp(7)). The application can't notice this for a response in the kernel's buffers.
fn limit_writes(stream: &TcpStream, limit: Duration) {
    // Fails only if the peer is already gone, which is noticed anyway.
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

/// Serves `listener` until the returned server's handle stops it. The caller handles signals.
///
/// # Errors
/// The listener can't be used.
pub fn run(listener: TcpListener, state: AppState, settings: ServerSettings) -> std::io::Result<Server> {
    listener.set_nonblocking(true)?;
    let seconds = settings.shutdown_timeout.as_secs_f64().ceil();
    let server = Server::build()
        .workers(settings.threads)
        // A few seconds, far inside the range of an unsigned integer.
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
                // When a client closes its side, its handler is dropped, which cancels what it waits for.
                .h1_allow_half_closed(false)
                // `Incoming` applies the limit, for every request of a connection.
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
                    // Shared with the codec in `Incoming`, because each configuration has a clock of its own.
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
