//! A simulated shop or ERP on loopback, until killed.

use std::error::Error;
use std::path::{Path, PathBuf};

use sync_sandbox::{odoo, Config, Sandbox, Setup, System, Version};

const USAGE: &str = "sandbox [--odoo 17|18|19] [--version 8|11] [--port N] [--seed N] [--https] \
[--customers N] [--products N] [--orders N] [--categories N] [--port-file FILE] [--ca-file FILE]
WooCommerce: [--big-variations N] [--strip-authorization]
Odoo: [--purchases N] [--transfers N] [--warehouses N] [--companies N]";

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Default)]
struct Options {
    shop: Config,
    erp: odoo::Config,
    is_erp: bool,
    port_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    let options = parse(std::env::args().skip(1))?;
    if options.is_erp {
        run(
            options.erp,
            options.port_file.as_deref(),
            options.ca_file.as_deref(),
        )
    } else {
        run(
            options.shop,
            options.port_file.as_deref(),
            options.ca_file.as_deref(),
        )
    }
}

fn run<S: System + 'static>(
    config: impl Setup<System = S>,
    port_file: Option<&Path>,
    ca_file: Option<&Path>,
) -> Result<(), Failure> {
    let sandbox = Sandbox::start(config)?;
    if let (Some(file), Some(pem)) = (ca_file, sandbox.ca_pem()) {
        write(file, pem)?;
    }
    let urls: Vec<_> = [Some(sandbox.url()), sandbox.https_url()]
        .into_iter()
        .flatten()
        .collect();
    if let Some(file) = port_file {
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

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let mut options = Options::default();
    while let Some(flag) = args.next() {
        let (shop, erp) = (&mut options.shop, &mut options.erp);
        let mut value = || args.next().ok_or(format!("{flag}: a value is missing\n{USAGE}"));
        let mut number = || -> Result<u32, Failure> { Ok(value()?.parse()?) };
        match flag.as_str() {
            "--customers" => (shop.customers, erp.partners) = twice(number()?),
            "--products" => (shop.products, erp.templates) = twice(number()?),
            "--orders" => (shop.orders, erp.sales) = twice(number()?),
            "--categories" => (shop.categories, erp.categories) = twice(number()?),
            "--big-variations" => shop.big_variations = number()?,
            "--purchases" => erp.purchases = number()?,
            "--transfers" => erp.transfers = number()?,
            "--warehouses" => erp.warehouses = number()?,
            "--companies" => erp.companies = number()?,
            "--port" => (shop.port, erp.port) = twice(value()?.parse()?),
            "--seed" => (shop.seed, erp.seed) = twice(value()?.parse()?),
            "--https" => (shop.https, erp.https) = (true, true),
            "--version" => shop.version = version(&value()?)?,
            "--odoo" => {
                erp.version = odoo_version(&value()?)?;
                options.is_erp = true;
            }
            "--strip-authorization" => shop.strip_authorization = true,
            "--port-file" => options.port_file = Some(value()?.into()),
            "--ca-file" => options.ca_file = Some(value()?.into()),
            _ => return Err(format!("{flag}: not known\n{USAGE}").into()),
        }
    }
    Ok(options)
}

/// What both systems are given.
fn twice<T: Copy>(value: T) -> (T, T) {
    (value, value)
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "8" => Ok(Version::V8),
        "11" => Ok(Version::V11),
        _ => Err(format!("--version {text}: 8 or 11\n{USAGE}")),
    }
}

fn odoo_version(text: &str) -> Result<odoo::Version, String> {
    match text {
        "17" => Ok(odoo::Version::V17),
        "18" => Ok(odoo::Version::V18),
        "19" => Ok(odoo::Version::V19),
        _ => Err(format!("--odoo {text}: 17, 18 or 19\n{USAGE}")),
    }
}
