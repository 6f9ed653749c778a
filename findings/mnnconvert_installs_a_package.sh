#!/usr/bin/env bash
# MNN's converter runs pip to install a package into the environment that it runs in.
#
# The program mnnconvert of the package MNN from PyPI imports a logger before it converts anything. Where Aliyun's SDK for
# logs is missing, which the package does not name among what it needs, that runs pip to install its newest version, and
# again when it is still missing: what was pinned is so no more. Where the SDK is there, each start asks a server for
# credentials to send logs with, though none are sent in this version: what they begin with is a module that the package
# lacks, and the error is dropped. --help speaks of neither. The function behind the program, which takes the same arguments
# (_tools.mnnconvert), converts and does nothing of it.
#
# Here pip, the SDK and the connection are stand-ins that write down what is asked of them: nothing is installed, nothing is
# sent. Needs python3-venv and the network, for the packages. Fails when what is asked is other.
set -euo pipefail
shopt -s inherit_errexit

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet MNN==3.6.1 numpy==2.4.6 onnx==1.22.0
venv/bin/python - <<'PYTHON'
import onnx
from onnx import TensorProto, helper

x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", [x], [y])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "one.onnx")
PYTHON

mkdir pip stand-ins
cat >pip/pip <<SH
#!/bin/sh
echo "pip \$*" >>"$folder/asked"
exit 1
SH
chmod +x pip/pip
mkdir -p stand-ins/aliyun/log
touch stand-ins/aliyun/__init__.py
cat >stand-ins/aliyun/log/logitem.py <<'PYTHON'
class LogItem:
    def set_time(self, time):
        pass

    def set_contents(self, contents):
        self.contents = contents
PYTHON
cat >stand-ins/aliyun/log/__init__.py <<'PYTHON'
class PutLogsRequest:
    def __init__(self, project, store, topic, source, items):
        self.items = items


class LogClient:
    def __init__(self, *credentials):
        pass

    def put_logs(self, request):
        with open("asked", "a") as asked:
            print("report of", *(name for name, _ in request.items[0].contents), file=asked)
PYTHON
cat >stand-ins/sitecustomize.py <<'PYTHON'
import io
import json
import urllib.request


def urlopen(request, *others):
    with open("asked", "a") as asked:
        print("credentials of a server", file=asked)
    keys = ("AccessKeyId", "AccessKeySecret", "SecurityToken")
    return io.BytesIO(json.dumps({"Credentials": dict.fromkeys(keys, "") | {"Expiration": "2100-01-01T00:00:00Z"}}).encode())


urllib.request.urlopen = urlopen
PYTHON

convert() {
  rm -f one.mnn
  "$@" -f ONNX --modelFile one.onnx --MNNModel one.mnn --bizCode one >/dev/null 2>&1
  [[ -s one.mnn ]]
}
{
  echo "mnnconvert without the SDK:"
  : >asked
  PATH=$folder/pip:$PATH convert venv/bin/mnnconvert
  cat asked
  echo "mnnconvert with it:"
  : >asked
  PATH=$folder/pip:$PATH PYTHONPATH=$folder/stand-ins convert venv/bin/mnnconvert
  cat asked
  echo "_tools.mnnconvert:"
  : >asked
  PATH=$folder/pip:$PATH PYTHONPATH=$folder/stand-ins convert venv/bin/python -c 'import sys, _tools; _tools.mnnconvert(sys.argv)'
  cat asked
} | tee found

# Seen on 2026-11-28 with MNN 3.6.1:
diff - found <<'SEEN'
mnnconvert without the SDK:
pip install -U aliyun-log-python-sdk
pip install -U aliyun-log-python-sdk
mnnconvert with it:
credentials of a server
_tools.mnnconvert:
SEEN
