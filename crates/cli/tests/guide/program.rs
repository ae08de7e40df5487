//! The README's program prints the accuracy that the README's command prints.
#![allow(clippy::print_stdout, reason = "the program's own lines")]

use std::error::Error;

use ziffer::prelude::*;

use crate::markdown::{documents, root};

/// The line in which the README's program opens its data.
const OPENING: &str = "let data = Mnist::open_or_download(&Source::default())?;";

/// The README's program, whose lines are compared below, with MNIST from the repository. Returns the test accuracy too.
fn readme_program(source: &Source) -> Result<f64, Box<dyn Error>> {
    let data = Mnist::open_or_download(source)?;
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(128, Activation::Relu)
        .dense(64, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)?;
    let trainer = Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default());
    let trainer = trainer.epochs(5).batch_size(32).validation_split(0.1);
    trainer.callback(Progress::default()).fit(&mut model, &data.train)?;
    println!("Test Accuracy: {:.2}%", model.evaluate(&data.test)?.accuracy * 100.0);
    Ok(model.evaluate(&data.test)?.accuracy)
}

#[test]
fn the_readme_s_program_prints_what_its_command_prints() {
    let documents = documents();
    let readme = documents.iter().find(|document| document.name == "README.md").unwrap();
    let blocks = readme.blocks();
    let program = blocks.iter().find(|block| block.language.starts_with("rust")).unwrap();
    // From the line after the opening of the data to the line before `Ok(())`.
    let shown: Vec<&str> = program.lines.iter().map(|line| line.trim()).collect();
    let start = shown.iter().position(|&line| line == OPENING).unwrap() + 1;
    let end = shown.iter().position(|&line| line == "Ok(())").unwrap();
    let own: Vec<&str> = include_str!("program.rs").lines().map(str::trim).collect();
    assert!(end > start + 5, "{}: no program", program.place);
    let same = own.windows(end - start).any(|lines| lines == &shown[start..end]);
    assert!(same, "{}: not the program of this test", program.place);

    let folder = tempfile::tempdir().unwrap();
    let repository = Mirror::Folder(root().join("data/mnist"));
    let source = Source::default().data_dir(folder.path()).mirror(repository).offline(true);
    let accuracy = readme_program(&source).unwrap();
    let printed = format!("Test Accuracy: {:.2}%", accuracy * 100.0);
    let console = blocks.iter().find(|block| block.language == "console").unwrap();
    assert!(console.lines.contains(&printed.as_str()), "{printed}, unlike {}", console.place);
}
