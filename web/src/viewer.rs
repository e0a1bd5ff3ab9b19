//! A viewer's WebSocket, served by actix-web-actors: its messages carry the bytes of a VNC client.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::Item;
use actix_web_actors::ws::{self, CloseCode, CloseReason, WebsocketContext};
use bytes::Bytes;
use camofleet_actors::views::tunnel::ViewerEnds;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// The largest message that a viewer may send; noVNC sends pasted text in one.
pub(crate) const MESSAGE_LIMIT: usize = 4 << 20;

/// The viewer's end of a tunnel.
///
/// Its context is polled by the writer to the viewer, so a viewer that reads slowly stalls this actor and, through the short
/// queue, the VNC server. That is the back-pressure.
pub(crate) struct Viewer {
    from_server: Option<mpsc::Receiver<Bytes>>,
    to_server: mpsc::Sender<Bytes>,
    ended: oneshot::Receiver<String>,
    ping_interval: Duration,
    /// Set when a frame declares more than [`MESSAGE_LIMIT`].
    too_long: Rc<Cell<bool>>,
}

impl Viewer {
    pub(crate) fn new(ends: ViewerEnds, ping_interval: Duration, too_long: Rc<Cell<bool>>) -> Self {
        let ViewerEnds { from_server, to_server, ended } = ends;
        Self { from_server: Some(from_server), to_server, ended, ping_interval, too_long }
    }

    fn forward(&self, bytes: Bytes, ctx: &mut WebsocketContext<Self>) {
        match self.to_server.try_send(bytes) {
            Ok(()) => {}
            Err(TrySendError::Full(bytes)) => {
                let to_server = self.to_server.clone();
                // Nothing more is read from the viewer until there is room for this in the queue to the server.
                let send = async move { to_server.send(bytes).await.is_ok() };
                ctx.wait(send.into_actor(self).map(|_, _, _| ()));
            }
            // The tunnel has ended; the stream from the server ends as well, which closes the socket with the reason.
            Err(TrySendError::Closed(_)) => {}
        }
    }
}

impl Actor for Viewer {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(mut from_server) = self.from_server.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| from_server.poll_recv(cx)));
        }
        ctx.run_interval(self.ping_interval, |_, ctx| ctx.ping(b""));
    }
}

impl StreamHandler<Bytes> for Viewer {
    fn handle(&mut self, bytes: Bytes, ctx: &mut Self::Context) {
        ctx.binary(bytes);
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        let reason = self.ended.try_recv().unwrap_or_else(|_| "the tunnel ended".to_owned());
        ctx.close(Some(CloseReason { code: CloseCode::Error, description: Some(reason) }));
        ctx.stop();
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Viewer {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(ws::Message::Binary(bytes)) => self.forward(bytes, ctx),
            Ok(ws::Message::Continuation(
                Item::FirstBinary(bytes) | Item::Continue(bytes) | Item::Last(bytes),
            )) => self.forward(bytes, ctx),
            Ok(ws::Message::Ping(bytes)) => ctx.pong(&bytes),
            Ok(ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(ws::Message::Text(_) | ws::Message::Continuation(Item::FirstText(_))) => {
                let description = Some("VNC is binary: send binary messages".to_owned());
                ctx.close(Some(CloseReason { code: CloseCode::Unsupported, description }));
                ctx.stop();
            }
            Err(_) if self.too_long.get() => {
                let description = Some(format!("a message may have {MESSAGE_LIMIT} bytes"));
                ctx.close(Some(CloseReason { code: CloseCode::Size, description }));
                ctx.stop();
            }
            Err(error) => {
                let description = Some(error.to_string());
                ctx.close(Some(CloseReason { code: CloseCode::Protocol, description }));
                ctx.stop();
            }
        }
    }
}
