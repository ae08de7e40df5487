//! Writes a report of invented predictions into a folder:
//!
//! ```console
//! $ cargo run --release -p ziffer-report --example moons -- FOLDER
//! ```
//!
//! The images are phases of the moon. The classifier sometimes predicts a neighboring phase.

use std::error::Error;
use std::path::PathBuf;

use ndarray::Array2;
use ziffer_report::{Assessment, Fact, Run, RunHistory, RunReport};

const SIDE: usize = 24;
const CLASSES: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a folder")?);
    let mut assessment = Assessment::new(CLASSES, &[SIDE, SIDE]);
    for sample in 0..2000 {
        let label = sample % CLASSES;
        // Even numbers from 0 to 1.
        let chance = (sample * 7919 % 2000) as f32 / 2000.0;
        let other = (label + 1 + sample / 16 % 2 * (CLASSES - 2)) % CLASSES;
        let mut probabilities = [0.0; CLASSES];
        probabilities[label] = chance.sqrt();
        probabilities[other] = 1.0 - chance.sqrt();
        assessment.add(label, &probabilities, &moon(label, sample))?;
    }
    let names: Vec<String> = (0..CLASSES).map(|class| format!("{class}/{CLASSES}")).collect();
    let kernel = Array2::from_shape_fn((SIDE * SIDE, 12), |(pixel, unit)| {
        ((pixel % SIDE) as f32 * 0.1 * unit as f32).sin() * ((pixel / SIDE) as f32 * 0.2).cos()
    });
    let seed = Fact { key: "seed".into(), name: "Seed".into(), value: "0".into(), shown: "0".into() };
    let report = RunReport::new(&Run {
        name: "moons",
        subject: "Phases of a moon",
        results: vec![],
        settings: vec![seed],
        origin: vec![],
        history: RunHistory {
            loss: &[1.9, 1.1, 0.8, 0.7],
            accuracy: &[0.3, 0.6, 0.7, 0.74],
            val_loss: &[1.4, 1.0, 0.9, 0.9],
            val_accuracy: &[0.5, 0.65, 0.7, 0.71],
            seconds: &[0.1; 4],
            ..RunHistory::default()
        },
        class_names: &names,
        assessment: &assessment,
        kernel: Some(kernel.view()),
    })?;
    for (name, bytes) in report.files() {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// A disc that the sun shines on from the right, as far as the phase says, with a little noise.
fn moon(phase: usize, sample: usize) -> Vec<u8> {
    let brightness = |pixel: usize| {
        let [x, y] = [pixel % SIDE, pixel / SIDE].map(|at| at as f32 / 11.5 - 1.0);
        let edge = (1.0 - y * y).max(0.0).sqrt();
        let noise = (pixel * 31 + sample * 17) % 40;
        let is_bright = x.abs() < edge && x > edge * (1.0 - 2.0 * phase as f32 / (CLASSES - 1) as f32);
        if is_bright { 200 + noise as u8 } else { noise as u8 }
    };
    (0..SIDE * SIDE).map(brightness).collect()
}
