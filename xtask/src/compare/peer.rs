//! The systems that ziffer is compared with.

use std::path::{Path, PathBuf};

/// A system that trains the same network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The name on the command line and of its folder in `target/peers`.
    pub(crate) name: &'static str,
    /// The name in tables.
    pub(crate) system: &'static str,
    pub(crate) kind: Kind,
    /// Whether it also runs with one thread.
    pub(crate) single: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A script, run in a virtual environment with the packages of the peer's requirements file.
    Python { script: &'static str },
    /// A Cargo package with the peer's name.
    Cargo,
}

pub(crate) const PEERS: [Peer; 6] = [
    Peer {
        name: "keras",
        system: "Keras (TensorFlow)",
        kind: Kind::Python { script: "keras_tutorial.py" },
        single: false,
    },
    Peer {
        name: "pytorch",
        system: "PyTorch",
        kind: Kind::Python { script: "pytorch_mlp.py" },
        single: true,
    },
    Peer { name: "jax", system: "JAX", kind: Kind::Python { script: "jax_mlp.py" }, single: true },
    Peer {
        name: "scikit-learn",
        system: "scikit-learn",
        kind: Kind::Python { script: "scikit_learn_mlp.py" },
        single: false,
    },
    Peer { name: "burn", system: "burn (flex)", kind: Kind::Cargo, single: true },
    Peer { name: "candle", system: "candle", kind: Kind::Cargo, single: true },
];

/// The folder of the peers' sources.
pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join("benches/peers")
}

/// The folder of everything that is built or written for the comparison.
pub(crate) fn target(root: &Path) -> PathBuf {
    root.join("target/peers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_its_files() {
        let folder = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let mut files = vec![folder.join("mnist.py"), folder.join("mnist.rs")];
        for peer in PEERS {
            match peer.kind {
                Kind::Python { script } => {
                    files.extend([folder.join(script), folder.join(format!("{}.txt", peer.name))]);
                }
                Kind::Cargo => files.extend(
                    ["Cargo.toml", "Cargo.lock", "src/main.rs"]
                        .map(|file| folder.join(format!("{}/{file}", peer.name))),
                ),
            }
        }
        for file in files {
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }

    #[test]
    fn requirements_are_pinned() {
        let folder = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        for peer in PEERS.iter().filter(|peer| matches!(peer.kind, Kind::Python { .. })) {
            let text = std::fs::read_to_string(folder.join(format!("{}.txt", peer.name))).unwrap();
            for line in text.lines() {
                assert!(line.contains("=="), "{}.txt: {line:?} names no version", peer.name);
            }
        }
    }
}
