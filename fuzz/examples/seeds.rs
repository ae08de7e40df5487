//! Writes the seeds of the corpus: models, training states, `.gz` archives and a recipe. Run it again when a format changes:
//! `cargo run --example seeds`.

use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ziffer::Recipe;
use ziffer_fuzz::checks::checkpoint::train;
use ziffer_nn::{Activation, Dense, Initializer, Sequential};
use ziffer_trainer::CheckpointInterval;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target))?;
        fs::write(corpus.join(target).join(name), bytes)
    };

    let model = Sequential::new([2, 2]).flatten().dense(3, Activation::Relu).dense(2, Activation::Softmax);
    write("model", "flatten-dense-dense", &model.build(1)?.to_safetensors())?;
    let dense = Dense::new(2, Activation::Tanh).kernel_initializer(Initializer::HeNormal);
    write("model", "dense", &Sequential::new([1]).add(dense).build(1)?.to_safetensors())?;
    let other = Sequential::new([2]).dense(2, Activation::Relu).dense(1, Activation::Softmax);
    write("model", "weights", &other.build(2)?.to_safetensors())?;

    // A checkpoint within the first epoch, and one after each epoch.
    for epochs in 1..=3 {
        let folder = tempfile::tempdir()?;
        train(folder.path(), epochs, CheckpointInterval::Steps(NonZero::new(2).ok_or("zero")?))?;
        for entry in fs::read_dir(folder.path())? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a name")?;
            if name.starts_with("checkpoint-") {
                write("checkpoint", &format!("{epochs}-{name}"), &fs::read(&path)?)?;
            }
        }
    }

    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
    for (name, level) in [("stored", Compression::none()), ("deflated", Compression::best())] {
        let mut encoder = GzEncoder::new(Vec::new(), level);
        encoder.write_all(&images)?;
        let member = encoder.finish()?;
        write("gz", name, &member)?;
        write("gz", &format!("{name}-and-garbage"), &[&member[..], b"rest"].concat())?;
    }
    let mut members = Vec::new();
    for part in images.chunks(7) {
        let mut encoder = GzEncoder::new(members, Compression::fast());
        encoder.write_all(part)?;
        members = encoder.finish()?;
    }
    write("gz", "three-members", &members)?;
    write("gz", "cut", &members[..members.len() - 3])?;
    // Two kilobytes that unpack to two megabytes.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[0, 0, 8, 1, 0, 0x1f, 0xff, 0xf8])?;
    encoder.write_all(&vec![0; 0x1f_fff8])?;
    write("gz", "two-megabytes", &encoder.finish()?)?;

    write("recipe", "tutorial", toml::to_string(&Recipe::default())?.as_bytes())?;
    Ok(())
}
