//! gRPC health checks: a server of them and a client to ask it.

use std::net::SocketAddr;

use anyhow::Context;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// A health server at work; abort it to stop it.
pub type Running = tokio::task::JoinHandle<Result<(), tonic::transport::Error>>;

/// Starts a server of health checks at `address`; returns the address it really got.
pub async fn start(address: SocketAddr) -> anyhow::Result<(SocketAddr, Running)> {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let incoming = tonic::transport::server::TcpIncoming::bind(address)
        .ok()
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = incoming.local_addr()?;
    let running = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    Ok((address, running))
}

/// Asks the server at `address` how it is.
pub async fn ask(address: SocketAddr) -> anyhow::Result<i32> {
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    Ok(answer.into_inner().status)
}
