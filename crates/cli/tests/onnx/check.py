"""Runs onnx's checker on an exported ONNX file, and compares its probabilities in onnxruntime with those of ziffer.

    python check.py RUN IMAGES [ZIFFER]

RUN is a run folder or a model, IMAGES the raw IDX file of the test images of its data set (.../t10k-images-idx3-ubyte),
ZIFFER the program, `ziffer` by default. requirements.txt lists the packages that it needs.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

COUNT = 1000
LIMIT = 1e-6


def pictures(path):
    data = path.read_bytes()
    assert data[:4] == b"\0\0\x08\x03", "an IDX file of pictures"
    sizes = np.frombuffer(data, ">u4", 3, 4)
    return np.frombuffer(data, np.uint8, offset=16).reshape(sizes)[:COUNT]


def main():
    run, images = sys.argv[1], pathlib.Path(sys.argv[2])
    ziffer = sys.argv[3] if len(sys.argv) > 3 else "ziffer"
    rows = [str(row) for row in range(COUNT)]
    predict = [ziffer, "predict", run, *rows, "--json", "--data-dir", str(images.parent)]
    lines = subprocess.run(predict, check=True, capture_output=True, text=True).stdout.splitlines()
    ours = np.array([json.loads(line)["probabilities"] for line in lines])
    x = pictures(images)
    for pixels in ["u8", "f32"]:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "model.onnx"
            subprocess.run([ziffer, "export", run, "--onnx", str(file), "--pixels", pixels], check=True)
            onnx.checker.check_model(str(file), full_check=True)
            session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        fed = {"images": x if pixels == "u8" else x.astype(np.float32)}
        (theirs,) = session.run(["probabilities"], fed)
        apart = np.abs(theirs - ours).max()
        print(f"{pixels}: {theirs.shape[0]} pictures, {apart:.2g} apart")
        assert theirs.shape == ours.shape and apart <= LIMIT, f"more than {LIMIT} apart"


main()
