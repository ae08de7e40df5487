//! `serve`: serves a page to draw digits on, and predictions for programs.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use ziffer_dataset::catalog::Name;
use ziffer_dataset::{TrainTest, View};
use ziffer_nn::Model;
use ziffer_serve::{Example, ServeError, Server, Site};

use super::dataset_args::{self, DatasetArgs, SourceArgs};
use super::evaluate::dataset_of;
use crate::interrupt;
use crate::output::print_message;
use crate::output_folder::RUNS;
use crate::report_input::REPORT_FILE;
use crate::run_folder::{self, SUMMARY_FILE};

/// The flags of `serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Model: a run folder or a .safetensors file [default: the newest run in runs]
    model: Option<PathBuf>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    data: DatasetArgs,
}

/// The flags for the address of a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListenArgs {
    /// Port; 0 selects a free port
    #[arg(long, value_name = "N", default_value_t = PORT)]
    port: u16,
    /// Address to listen on: localhost, or an IP address of this machine, or 0.0.0.0 for all addresses
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = host)]
    host: IpAddr,
    /// Host name, or NAME:PORT, that requests may use besides the address; can be repeated
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    allow_host: Vec<String>,
}

/// The default port, free on most machines.
const PORT: u16 = 7878;
/// The maximum number of examples of each class, and in all.
const EXAMPLES_PER_CLASS: usize = 2;
const EXAMPLES: usize = 40;

fn host(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let without_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    without_brackets.parse().map_err(|_| "expected localhost or an IP address like 127.0.0.1".to_owned())
}

/// Parses a host name or an address, with or without a port.
fn host_name(text: &str) -> Result<String, String> {
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if text.is_empty() || !text.chars().all(is_of_names) {
        return Err("expected a name like box.lan or box.lan:8000".to_owned());
    }
    Ok(text.to_owned())
}

impl ServeArgs {
    /// Serves until Ctrl-C.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let run = self.model.clone().map_or_else(newest_run, Ok)?;
        let file = run_folder::model_file(&run);
        let model = Model::load(&file).map_err(|error| match self.model {
            Some(_) => error.into(),
            None => anyhow::Error::new(error).context("cannot serve the newest run; name another model"),
        })?;
        let shape = model.input_shape().to_vec();
        let (name, source) = dataset_of(&self.data, &run);
        let site = Site::new(model)
            .with_context(|| file.display().to_string())?
            .title(title(&run))
            .labels(name.class_names().iter().copied())
            .examples(self.examples(name, source, &shape)?);
        let site = if run.is_dir() { site.report(run.join(REPORT_FILE)) } else { site };
        let stop = interrupt::flag()?;
        let server = self.listen.bind()?;
        self.listen.announce(&server, &run.display().to_string(), "press Ctrl-C to stop");
        Ok(server.run(site, &stop)?)
    }

    /// Images of the test set, if the data set is on this machine. None otherwise.
    fn examples(&self, name: Name, source: SourceArgs, shape: &[usize]) -> anyhow::Result<Vec<Example>> {
        let is_asked_for = self.data.dataset.is_some() || self.data.source.data_dir.is_some();
        let source = SourceArgs { offline: true, ..source };
        let set = match dataset_args::open(name, &source) {
            Err(error) if is_asked_for => return Err(error),
            Err(_) => return Ok(Vec::new()),
            Ok(set) => set,
        };
        if set.test.image_shape() == shape {
            return Ok(examples(&set));
        }
        let (found, folder) = (set.test.image_shape(), set.folder().display());
        if is_asked_for {
            bail!("{folder}: the data set has images of shape {found:?}, the model takes {shape:?}");
        }
        Ok(Vec::new())
    }
}

impl ListenArgs {
    /// The flags with this address and port.
    pub(super) fn at(host: IpAddr, port: Option<u16>) -> Self {
        Self { port: port.unwrap_or(PORT), host, allow_host: Vec::new() }
    }

    /// Starts to listen.
    pub(super) fn bind(&self) -> anyhow::Result<Server> {
        let server = Server::bind(self.host, self.port).map_err(|error| match error {
            ServeError::Taken { .. } => {
                anyhow!("{error}; choose another port with --port N, or a free one with --port 0")
            }
            error => error.into(),
        })?;
        Ok(server.allow_hosts(self.allow_host.iter().cloned()))
    }

    /// Prints the URL to standard error.
    pub(super) fn announce(&self, server: &Server, what: &str, until: &str) {
        let address = server.address();
        let port = address.port();
        if !self.host.is_loopback() {
            print_message(&format!("Warning: everyone who can connect to {address} can use this page"));
        }
        // A browser cannot open 0.0.0.0.
        let shown = match self.host {
            host if !host.is_unspecified() => format!("http://{address}/"),
            _ => format!(
                "http://localhost:{port}/, and at this machine's IP addresses from other machines (at its host name with --allow-host)"
            ),
        };
        print_message(&format!("Serving {what} at {shown}; {until}"));
    }
}

/// The title of a model on the page: the name of its folder or file.
pub(super) fn title(run: &Path) -> String {
    let is_file = run.extension().is_some_and(|extension| extension == "safetensors");
    let name = if is_file { run.file_stem() } else { run.file_name() };
    name.unwrap_or(run.as_os_str()).to_string_lossy().into_owned()
}

/// The first few test images of each class, sorted by class. If there are very many classes, of the first classes.
pub(super) fn examples(set: &TrainTest) -> Vec<Example> {
    let view: View<'_> = set.test.view();
    let mut of_class = vec![Vec::new(); view.classes()];
    let per_class = EXAMPLES_PER_CLASS.min(EXAMPLES / view.classes().max(1)).max(1);
    for (row, label) in view.labels().enumerate() {
        if of_class[label].len() < per_class {
            of_class[label].push(row);
        }
        if of_class.iter().all(|rows| rows.len() == per_class) {
            break;
        }
    }
    let rows = of_class.into_iter().flatten().take(EXAMPLES);
    rows.map(|row| Example { label: view.label(row), pixels: view.image(row).to_vec() }).collect()
}

/// The run with the newest summary.
fn newest_run() -> anyhow::Result<PathBuf> {
    let runs = fs::read_dir(RUNS).into_iter().flatten().flatten().filter_map(|entry| {
        let changed = fs::metadata(entry.path().join(SUMMARY_FILE)).ok()?.modified().ok()?;
        Some((changed, entry.path()))
    });
    runs.max().map(|(_, run)| run).with_context(|| {
        format!("no run in the folder {RUNS}; train one with `ziffer train`, or name a model")
    })
}
