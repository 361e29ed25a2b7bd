//! A simulated shop on loopback, until killed.

use std::error::Error;
use std::path::{Path, PathBuf};

use sync_sandbox::{Config, Sandbox, Version};

const USAGE: &str = "sandbox [--port N] [--customers N] [--products N] [--orders N] \
[--categories N] [--big-variations N] [--seed N] [--version 8|11] [--https] \
[--strip-authorization] [--port-file FILE] [--ca-file FILE]";

#[derive(Default)]
struct Options {
    config: Config,
    port_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let options = parse(std::env::args().skip(1))?;
    let sandbox = Sandbox::start(options.config)?;
    if let (Some(file), Some(pem)) = (&options.ca_file, sandbox.ca_pem()) {
        write(file, pem)?;
    }
    let urls: Vec<_> = [Some(sandbox.url()), sandbox.https_url()]
        .into_iter()
        .flatten()
        .collect();
    if let Some(file) = &options.port_file {
        let ports: Vec<_> = urls.iter().filter_map(|u| u.rsplit(':').next()).collect();
        write(file, &format!("{}\n", ports.join("\n")))?;
    }
    println!("{}", urls.join("\n"));
    loop {
        std::thread::park();
    }
}

/// Whoever waits for the file must never see half of it.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let part = file.with_extension("part");
    std::fs::write(&part, text)?;
    std::fs::rename(part, file)
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error + Send + Sync>> {
    let mut options = Options::default();
    while let Some(flag) = args.next() {
        let config = &mut options.config;
        let mut value = || args.next().ok_or(format!("{flag}: a value is missing\n{USAGE}"));
        match flag.as_str() {
            "--port" => config.port = value()?.parse()?,
            "--customers" => config.customers = value()?.parse()?,
            "--products" => config.products = value()?.parse()?,
            "--orders" => config.orders = value()?.parse()?,
            "--categories" => config.categories = value()?.parse()?,
            "--big-variations" => config.big_variations = value()?.parse()?,
            "--seed" => config.seed = value()?.parse()?,
            "--version" => config.version = version(&value()?)?,
            "--https" => config.https = true,
            "--strip-authorization" => config.strip_authorization = true,
            "--port-file" => options.port_file = Some(value()?.into()),
            "--ca-file" => options.ca_file = Some(value()?.into()),
            _ => return Err(format!("{flag}: not known\n{USAGE}").into()),
        }
    }
    Ok(options)
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "8" => Ok(Version::V8),
        "11" => Ok(Version::V11),
        _ => Err(format!("--version {text}: 8 or 11\n{USAGE}")),
    }
}
