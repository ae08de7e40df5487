//! The commands for models, `evaluate`, `predict`, `summary` and `export`, and the help of every command.

use std::fs;
use std::io::pipe;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::idx::{IdxSet, images, labels, three_classes};
use crate::sandbox::{Sandbox, TRAIN_TINY, finish, summary};
use crate::tensors;

/// The flags that name the tiny data set.
const ON_TINY: &str = "--dataset custom --data-dir set";

fn trained() -> Sandbox {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    sandbox
}

#[test]
fn evaluate_agrees_with_training_for_folder_and_file() {
    let sandbox = trained();
    let summary = summary(&sandbox.path("run"));
    let accuracy = format!("{:.2}%", summary["test_accuracy"].as_f64().unwrap() * 100.0);
    let loss = format!("{:.4}", summary["test_loss"].as_f64().unwrap());
    let folder = sandbox.succeed(&format!("evaluate run {ON_TINY}"));
    assert!(
        folder.stdout.contains(&accuracy) && folder.stdout.contains(&loss),
        "{accuracy} {loss} {folder:?}"
    );
    // The run summary names the data set and its folder.
    assert_eq!(sandbox.succeed("evaluate run").stdout, folder.stdout);
    assert_eq!(sandbox.succeed("evaluate run/model.safetensors").stdout, folder.stdout);
    let file = sandbox.succeed(&format!("evaluate run/model.safetensors {ON_TINY}"));
    assert_eq!(file.stdout, folder.stdout);
    // The model file alone suffices, under any name.
    fs::rename(sandbox.path("run/model.safetensors"), sandbox.path("other.safetensors")).unwrap();
    assert_eq!(sandbox.succeed(&format!("evaluate other.safetensors {ON_TINY}")).stdout, folder.stdout);
}

#[test]
fn predict_prints_one_json_object_per_picture() {
    let sandbox = trained();
    let outcome = sandbox.succeed(&format!("predict run 3 0 19 3 --json {ON_TINY}"));
    let lines: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        let probabilities: Vec<f64> =
            line["probabilities"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        assert_eq!(probabilities.len(), 3, "{line}");
        assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{line}");
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{line}");
        let digit = usize::try_from(line["digit"].as_u64().unwrap()).unwrap();
        assert!(probabilities.iter().all(|p| *p <= probabilities[digit]), "{line}");
    }
    let sources: Vec<_> = lines.iter().map(|line| line["source"].as_str().unwrap()).collect();
    for (source, row) in sources.iter().zip(["3", "0", "19", "3"]) {
        assert!(source.ends_with(row), "{source} for row {row}");
    }
    assert_eq!(lines[0], lines[3], "the same picture, the same answer");
}

#[test]
fn predict_prints_each_picture_and_its_class() {
    let sandbox = trained();
    let json = sandbox.succeed(&format!("predict run/model.safetensors 0 1 --json {ON_TINY}"));
    let people = sandbox.succeed(&format!("predict run/model.safetensors 0 1 {ON_TINY}"));
    for line in json.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let source = line["source"].as_str().unwrap();
        let said = people.stdout.lines().find(|said| said.contains(source));
        assert!(said.is_some_and(|said| said.contains(&line["digit"].to_string())), "{line} in {people:?}");
    }
    assert!(
        people.stdout.bytes().all(|byte| byte != 0x1B && byte != b'\r'),
        "no escapes where no terminal is"
    );
    sandbox.succeed(&format!("predict run 0 --show {ON_TINY}"));
}

#[test]
fn predict_refuses_numbers_beyond_the_data_set() {
    let sandbox = trained();
    for row in ["20", "99999999999999999999", "-1", "x", "1.5"] {
        sandbox.refuse(&format!("predict run {row} --json {ON_TINY}"), &[row]);
    }
}

#[test]
fn a_model_refuses_data_of_another_shape() {
    let sandbox = trained();
    let wide = |samples| images(&three_classes(samples), 6, 4);
    let narrow = |samples| labels(&three_classes(samples));
    IdxSet { files: [wide(60), narrow(60), wide(20), narrow(20)] }.write(&sandbox.path("wide"));
    for command in ["evaluate run", "predict run 0"] {
        let arguments = format!("{command} --dataset custom --data-dir wide");
        let outcome = sandbox.refuse(&arguments, &["wide", "[6, 4]", "[5, 4]"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
    // More classes than the model has outputs.
    let four: Vec<u8> = (0..20).map(|index| index % 4).collect();
    IdxSet::of(&four, &four).write(&sandbox.path("four"));
    sandbox.refuse("evaluate run --dataset custom --data-dir four", &["four", "3", "4"]);
}

#[test]
fn invalid_models_are_refused_by_name() {
    let sandbox = trained();
    let good = fs::read(sandbox.path("run/model.safetensors")).unwrap();
    let (header, values) = tensors::split(&good);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        tensors::with_header(&header, &values)
    };
    let mut huge = good.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut longer = good.clone();
    longer.push(0);
    let transposed = changed(&|header| header["dense.kernel"]["shape"] = json!([6, 20]));
    let whole_numbers = changed(&|header| header["dense.bias"]["dtype"] = json!("I32"));
    let renamed = changed(&|header| {
        let header = header.as_object_mut().unwrap();
        let kernel = header.remove("dense.kernel").unwrap();
        header.insert("thick.kernel".to_owned(), kernel);
    });
    let nonsense = changed(&|header| {
        for text in header["__metadata__"].as_object_mut().unwrap().values_mut() {
            *text = json!("nonsense");
        }
    });
    for (what, bytes) in [
        ("empty", &[][..]),
        ("cut in the header", &good[..20]),
        ("cut in the values", &good[..good.len() - 1]),
        ("too long", &longer),
        ("a huge header", &huge),
        ("a kernel turned over", &transposed),
        ("whole numbers", &whole_numbers),
        ("another name", &renamed),
        ("nonsense in the metadata", &nonsense),
        ("a page", b"<html>404 Not Found</html>"),
    ] {
        fs::write(sandbox.path("bad.safetensors"), bytes).unwrap();
        fs::create_dir_all(sandbox.path("bad")).unwrap();
        fs::write(sandbox.path("bad/model.safetensors"), bytes).unwrap();
        for (command, rest) in
            [("evaluate", ON_TINY), ("predict", "0 --dataset custom --data-dir set"), ("summary", "")]
        {
            for (model, named) in [("bad.safetensors", "bad.safetensors"), ("bad", "bad/model.safetensors")] {
                let outcome = sandbox.refuse(&format!("{command} {model} {rest}"), &[named]);
                assert_eq!(outcome.code, Some(1), "{what}: {outcome:?}");
            }
        }
    }
}

#[test]
fn missing_models_are_refused_by_name() {
    let sandbox = Sandbox::with_tiny_set();
    fs::create_dir(sandbox.path("empty")).unwrap();
    for model in ["nowhere", "nowhere.safetensors", "empty"] {
        for command in ["evaluate MODEL", "predict MODEL 0"] {
            let arguments = format!("{} {ON_TINY}", command.replace("MODEL", model));
            let outcome = sandbox.refuse(&arguments, &[model]);
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
        }
        let outcome = sandbox.refuse(&format!("summary {model}"), &[model]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
}

#[test]
fn summary_prints_the_plan_of_a_step() {
    let sandbox = Sandbox::new();
    let printed =
        |threads: &str| sandbox.succeed(&format!("summary tutorial --plan --threads {threads}")).stdout;
    let two = printed("2");
    assert!(two.starts_with("Model: ") && two.contains("Training step on 2 threads: 3 stages"), "{two}");
    assert!(two.contains("outputs of dense  forward dense\n"), "{two}");
    let one = printed("1");
    assert!(one.contains("on 1 thread: 2 stages") && !one.contains("outputs of"), "{one}");
    sandbox.refuse("summary tutorial --threads 2", &["--plan"]);
}

#[test]
fn summary_prints_kerass_table() {
    let sandbox = trained();
    let tutorial = sandbox.succeed("summary tutorial").stdout;
    // The output of `model.summary()` in the Keras tutorial.
    for text in [
        "Layer (type)",
        "Output Shape",
        "Param #",
        "Flatten",
        "Dense",
        "784",
        "(None, 128)",
        "(None, 64)",
        "(None, 10)",
        "100,480",
        "8,256",
        "650",
        "Total params: 109,386 (427.29 KB)",
        "Trainable params: 109,386",
        "Non-trainable params: 0",
    ] {
        assert!(tutorial.contains(text), "{text:?} is missing in\n{tutorial}");
    }
    let model = sandbox.succeed("summary run").stdout;
    for text in ["(None, 20)", "(None, 6)", "(None, 3)", "126", "21", "Total params: 147"] {
        assert!(model.contains(text), "{text:?} is missing in\n{model}");
    }
    assert_eq!(sandbox.succeed("summary run/model.safetensors").stdout, model);
    fs::write(sandbox.path("wide.toml"), "hidden = [300]\n").unwrap();
    assert!(sandbox.succeed("summary wide.toml").stdout.contains("235,500"), "784 * 300 + 300");
}

#[test]
fn everything_has_help() {
    let sandbox = Sandbox::new();
    let flags = [
        "--dataset",
        "--data-dir",
        "--hidden",
        "--epochs",
        "--batch-size",
        "--validation-split",
        "--learning-rate",
        "--optimizer",
        "--seed",
        "--threads",
        "--init",
        "--no-shuffle",
        "--out",
        "--recipe",
    ];
    for (command, words) in [
        ("", &["train", "evaluate", "predict", "summary", "download"][..]),
        ("train", &flags),
        ("evaluate", &["MODEL", "--dataset", "--data-dir"]),
        ("predict", &["MODEL", "--json", "--show"]),
        ("import", &["FILE", "--out", "--input-shape"]),
        ("summary", &["MODEL", "RECIPE"]),
        ("download", &["NAME", "--data-dir", "--mirror", "--offline", "--force"]),
    ] {
        for help in ["--help", "-h"] {
            let outcome = sandbox.succeed(&format!("{command} {help}"));
            assert_eq!(outcome.stderr, "", "{outcome:?}");
            for word in words {
                assert!(outcome.stdout.contains(word), "{word} is missing in {outcome:?}");
            }
        }
    }
    assert!(sandbox.succeed("--version").stdout.contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(sandbox.files().len(), 0, "help writes nothing");
}

#[test]
fn a_closed_pipe_does_not_cause_a_panic() {
    let sandbox = trained();
    for arguments in [
        "summary tutorial",
        "train --help",
        "--help",
        "predict run 0 1 2 --dataset custom --data-dir set",
        &format!("{TRAIN_TINY} --force"),
    ] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let outcome = finish_with_stdout(&sandbox, arguments, writer.into());
        assert!(outcome.code.is_none_or(|code| code != 101), "{outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let sandbox = trained();
    for arguments in ["summary tutorial", "evaluate run --dataset custom --data-dir set"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let outcome = finish_with_stdout(&sandbox, arguments, full.into());
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        outcome.refused(&["output"]);
    }
}

fn finish_with_stdout(sandbox: &Sandbox, arguments: &str, stdout: Stdio) -> crate::sandbox::Outcome {
    finish(sandbox.command().args(arguments.split_whitespace()).stdout(stdout))
}

#[test]
fn an_export_names_its_input_and_output() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    for pixels in ["u8", "f32"] {
        let outcome = sandbox.succeed(&format!("export run --onnx digits-{pixels}.onnx --pixels {pixels}"));
        assert_eq!(outcome.stdout, format!("Exported run/model.safetensors to digits-{pixels}.onnx\n"));
        let bytes = fs::read(sandbox.path(&format!("digits-{pixels}.onnx"))).unwrap();
        for name in ["images", "probabilities", "dense.kernel", "dense_1.bias", "Gemm", "Softmax"] {
            assert!(bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
        }
    }
    sandbox.refuse("export nowhere --onnx digits.onnx", &["nowhere"]);
    sandbox.refuse("export run --onnx nowhere/digits.onnx", &["nowhere/digits.onnx", "cannot write"]);
    let model = fs::read(sandbox.path("run/model.safetensors")).unwrap();
    sandbox.refuse("export run --onnx run/../run/model.safetensors", &["the model itself", "--onnx"]);
    assert_eq!(fs::read(sandbox.path("run/model.safetensors")).unwrap(), model);
    // Something that is not a regular file is not replaced by one.
    #[cfg(unix)]
    {
        let socket = std::os::unix::net::UnixListener::bind(sandbox.path("socket")).unwrap();
        sandbox.refuse(
            "export run --onnx socket",
            &["socket: cannot write: it is a device, a pipe or a socket"],
        );
        drop(socket);
    }
    let outcome = sandbox.refuse("export run", &["--onnx"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}
