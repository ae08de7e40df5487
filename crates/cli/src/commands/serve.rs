//! `serve`: the page to draw on.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use ziffer_dataset::catalogue::Name;
use ziffer_dataset::{TrainTest, View};
use ziffer_nn::Model;
use ziffer_serve::{Example, ServeError, Server, Site};

use super::dataset_args::{self, DatasetArgs, SourceArgs};
use super::evaluate::dataset;
use crate::interrupt;
use crate::report_input::REPORT_FILE;
use crate::run_folder::{self, SUMMARY_FILE};

/// Serve a page to draw digits on, which shows what a model makes of them, and its predictions for programs
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// A run's folder or a .safetensors file [default: the newest run in runs]
    model: Option<PathBuf>,
    #[command(flatten)]
    listen: ListenArgs,
    /// The data set's flags, for the examples; by default the set that the model's run names, else mnist. Nothing is fetched.
    #[command(flatten)]
    data: DatasetArgs,
}

/// The flags that say where a server listens.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListenArgs {
    /// The port; 0 takes any that is free
    #[arg(long, value_name = "N", default_value_t = PORT)]
    port: u16,
    /// The address to listen at: localhost, or an IP address of this machine, 0.0.0.0 for all of them
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = host)]
    host: IpAddr,
    /// A name, or NAME:PORT, that requests may call this machine by, beside its address; can be given again
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    allow_host: Vec<String>,
}

/// Free on most machines.
const PORT: u16 = 7878;
/// Where runs are put by default.
const RUNS: &str = "runs";
/// Examples of a class, and in all.
const OF_CLASS: usize = 2;
const EXAMPLES: usize = 40;

fn host(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let without_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    without_brackets.parse().map_err(|_| "expected localhost or an IP address like 127.0.0.1".to_owned())
}

/// What a browser can have before its page's path: a name or an address, and a port.
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
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let run = self.model.clone().map_or_else(newest_run, Ok)?;
        let file = run_folder::model_file(&run);
        let model = Model::load(&file).map_err(|error| match self.model {
            Some(_) => error.into(),
            None => anyhow::Error::new(error).context("cannot serve the newest run; name another"),
        })?;
        let shape = model.input_shape().to_vec();
        let (name, source) = dataset(&self.data, &run);
        let site = Site::new(model)
            .with_context(|| file.display().to_string())?
            .title(title(&run))
            .labels(name.class_names().iter().copied())
            .examples(self.examples(name, source, &shape)?);
        let site = if run.is_dir() { site.report(run.join(REPORT_FILE)) } else { site };
        let stop = interrupt::flag()?;
        let server = self.listen.bind()?;
        self.listen.announce(&server, &run.display().to_string(), "Ctrl-C stops");
        Ok(server.run(site, &stop)?)
    }

    /// Pictures of the test part, if the set is on this machine; without them the page has none.
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
            bail!("{folder}: the data set has pictures of {found:?}, the model takes {shape:?}");
        }
        Ok(Vec::new())
    }
}

impl ListenArgs {
    /// As if these flags had been given.
    pub(super) fn at(host: IpAddr, port: Option<u16>) -> Self {
        Self { port: port.unwrap_or(PORT), host, allow_host: Vec::new() }
    }

    /// The server, which listens from now on.
    pub(super) fn bind(&self) -> anyhow::Result<Server> {
        let server = Server::bind(self.host, self.port).map_err(|error| match error {
            ServeError::Taken { .. } => {
                anyhow!("{error}; choose another with --port N, or any with --port 0")
            }
            error => error.into(),
        })?;
        Ok(server.allow_hosts(self.allow_host.iter().cloned()))
    }

    /// Says what is served where. Messages; that nobody reads them is no failure.
    pub(super) fn announce(&self, server: &Server, what: &str, until: &str) {
        let address = server.address();
        let port = address.port();
        if !self.host.is_loopback() {
            let warning = format!("Warning: whoever reaches {address} over the network can use this page");
            let _ = writeln!(io::stderr(), "{warning}");
        }
        // All addresses are none that a browser can go to.
        let shown = match self.host {
            host if !host.is_unspecified() => format!("http://{address}/"),
            _ => format!(
                "http://localhost:{port}/, and at this machine's IP addresses from others (by its name with --allow-host)"
            ),
        };
        let _ = writeln!(io::stderr(), "Serving {what} at {shown}; {until}");
    }
}

/// What the page calls a model: its folder's or file's name.
pub(super) fn title(run: &Path) -> String {
    let is_file = run.extension().is_some_and(|extension| extension == "safetensors");
    let name = if is_file { run.file_stem() } else { run.file_name() };
    name.unwrap_or(run.as_os_str()).to_string_lossy().into_owned()
}

/// The first few test pictures of each class, class by class; of very many classes the first ones'.
pub(super) fn examples(set: &TrainTest) -> Vec<Example> {
    let view: View<'_> = set.test.view();
    let mut of_class = vec![Vec::new(); view.classes()];
    let per_class = OF_CLASS.min(EXAMPLES / view.classes().max(1)).max(1);
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

/// The run whose summary is the newest.
fn newest_run() -> anyhow::Result<PathBuf> {
    let runs = fs::read_dir(RUNS).into_iter().flatten().flatten().filter_map(|entry| {
        let changed = fs::metadata(entry.path().join(SUMMARY_FILE)).ok()?.modified().ok()?;
        Some((changed, entry.path()))
    });
    runs.max()
        .map(|(_, run)| run)
        .with_context(|| format!("no run in the folder {RUNS}; `ziffer train` makes one, or name a model"))
}
