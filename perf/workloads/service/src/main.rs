//! A web service, as such services are: an HTTP API with templates, pictures, a database, a cache,
//! gRPC health checks and structured logs.
//!
//! It exists to be linked: its debug build pulls in some three hundred crates. It does really serve,
//! so that a linked program can be checked: `--self-check` starts it on a free port of the loopback
//! interface, asks it for everything it has and prints the answers, which are the same every time.

mod app;
mod cache;
mod check;
mod database;
mod page;
mod picture;
mod rpc;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// A small web service that serves a page, a picture and a few notes.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Port to listen on; 0 lets the system choose one.
    #[arg(default_value_t = 8080, env = "SERVICE_PORT")]
    port: u16,

    /// Where notes are kept: an sqlite:, postgres: or mysql: address.
    #[arg(long, default_value = "sqlite::memory:")]
    database: String,

    /// Address of a redis server, if answers are to be cached.
    #[arg(long)]
    cache: Option<String>,

    /// Port for gRPC health checks, if they are wanted.
    #[arg(long)]
    rpc_port: Option<u16>,

    /// Write logs as JSON.
    #[arg(long)]
    json_logs: bool,

    /// Start, ask oneself for everything, print the answers and end.
    #[arg(long)]
    self_check: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    start_logs(&options);
    if options.self_check {
        return check::run().await;
    }

    let state = app::State::open(&options.database, options.cache.as_deref()).await?;
    if let Some(port) = options.rpc_port {
        let (_, _server) = rpc::start(loopback(port)).await?;
    }
    let listener = tokio::net::TcpListener::bind(loopback(options.port)).await.context("cannot listen")?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    axum::serve(listener, app::router(state)).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

fn start_logs(options: &Options) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if options.json_logs {
        logs.json().init();
    } else {
        logs.init();
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot wait for an interrupt");
    }
}
