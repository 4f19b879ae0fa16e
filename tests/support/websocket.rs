//! WebSockets that stay open until somebody ends them.

use super::{DEADLINE, Device, Estate, Tls};
use futures::{SinkExt as _, StreamExt as _};
use rustls::ClientConfig;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

/// An open WebSocket to the demo upstream, which sends back what it is sent.
pub struct WebSocket(WebSocketStream<TlsStream<TcpStream>>);

impl WebSocket {
    /// Opens one on a connection of its own; the status where that is refused.
    pub async fn open(estate: &Estate, device: Device, host: &str, cookies: &str) -> Result<Self, u16> {
        let origin = estate.url(host, "");
        Self::open_with(estate, device, host, &[("cookie", cookies.to_owned()), ("origin", origin)]).await
    }

    /// The same with these header fields only.
    pub async fn open_with(
        estate: &Estate,
        device: Device,
        host: &str,
        fields: &[(&'static str, String)],
    ) -> Result<Self, u16> {
        Self::open_over(estate, estate.tls(device, Tls::H1), host, fields).await
    }

    /// The same over a connection of these settings.
    pub async fn open_over(
        estate: &Estate,
        tls: ClientConfig,
        host: &str,
        fields: &[(&'static str, String)],
    ) -> Result<Self, u16> {
        let stream = estate.try_connect(host, &Arc::new(tls)).await.unwrap();
        let url = estate.url(host, "/ws");
        let mut request = url.replacen("https", "wss", 1).into_client_request().unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let opening = tokio_tungstenite::client_async(request, stream);
        match tokio::time::timeout(DEADLINE, opening).await.expect("the handshake hangs") {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a message goes to the upstream and comes back.
    pub async fn echoes(&mut self) -> bool {
        let there_and_back = async {
            self.0.send(Message::text("hello")).await.map_err(|error| error.to_string())?;
            let heard = self.0.next().await.ok_or("it ended")?.map_err(|error| error.to_string())?;
            heard.into_text().map(|text| text.as_str().to_owned()).map_err(|error| error.to_string())
        };
        let heard: Result<_, String> =
            tokio::time::timeout(DEADLINE, there_and_back).await.expect("no echo and no end");
        if heard.as_deref() != Ok("hello") {
            println!("instead of an echo: {heard:?}");
        }
        heard.is_ok_and(|text| text == "hello")
    }

    /// Waits until the other side ends it; nothing is sent meanwhile.
    pub async fn ends(mut self) {
        let end = async {
            while let Some(Ok(message)) = self.0.next().await {
                assert!(message.is_close(), "{message:?}");
            }
        };
        tokio::time::timeout(DEADLINE, end).await.expect("the WebSocket was not ended");
    }
}
