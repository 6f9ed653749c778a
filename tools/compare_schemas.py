#!/usr/bin/env python3
"""Compares the operators that Pli claims to run with ONNX's own schemas, and runs ONNX's test cases of single operators.

usage: tools/compare_schemas.py BIN_DIR

example, after a release of ONNX:
    python3 -m venv build/onnx && build/onnx/bin/pip install onnx
    cmake --build --preset release && build/onnx/bin/python tools/compare_schemas.py build/release/bin

For each version of an operator within Pli's claim it says what is new against the version before. More element types
are no matter: a claim names its own. Anything else has to be in the list REVIEWED below, where it says what Pli does
about it; what is not ends the script with 1. When nothing is left, kNewestOpset in runtime/ops/operator.h can become the
newest set that the schemas have.
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile

# Descriptions are compared from this version on; what changed in words before is held by the test cases.
FIRST_DESCRIBED = 23

# Attributes that no version gave a meaning.
MEANINGLESS = {"consumed_inputs"}

REVIEWED = [
    ("Add Sub Mul Div Pow And Or Xor Equal Less Greater", 7, "before, operands are broadcast by attributes"),
    ("ArgMax ArgMin", 12, "select_last_index is read"),
    ("AveragePool", 7, "count_include_pad is read"),
    ("AveragePool", 10, "ceil_mode is read"),
    ("AveragePool", 19, "dilations are read"),
    ("BatchNormalization", 7, "before, is_test tells inference from training; then the number of outputs"),
    ("BatchNormalization", 9, "before, spatial is read"),
    ("BatchNormalization", 14, "training_mode is read; inputs have other names"),
    ("BitShift", 28, "signed integers have a line of their own in the table"),
    ("Cast", 6, "before, the type is given by name"),
    ("Cast CastLike", 19, "saturate is for 8-bit floats, which the claim leaves out"),
    ("Cast CastLike", 24, "round_mode is for float8e8m0, which the claim leaves out"),
    ("Clip", 6, "the bounds are the largest floats: they bind nothing but infinity"),
    ("Clip", 11, "before, the bounds are attributes"),
    ("Concat", 4, "before, axis may be missing, and is 1"),
    ("Constant", 11, "a sparse value is refused"),
    ("Constant", 12, "every form is read, strings by the graph alone"),
    ("DepthToSpace", 11, "mode is read"),
    ("Dropout", 7, "before, is_test tells inference from training"),
    ("Dropout", 12, "ratio and training_mode are inputs; with training it is refused"),
    ("GatherND", 12, "batch_dims is read"),
    ("Gemm", 7, "before, C is broadcast by an attribute"),
    ("Gemm", 11, "C is optional"),
    ("GlobalLpPool LpPool", 2, "before, p is a float; a missing kernel_shape is refused"),
    ("GroupNormalization", 21, "stash_type is for half floats, which the claim leaves out"),
    ("LpPool", 18, "ceil_mode and dilations are read"),
    ("MaxPool", 8, "storage_order and the second output are made"),
    ("MaxPool", 10, "ceil_mode and dilations are read"),
    ("Mod", 28, "floats have a remainder with the sign of the divisor"),
    ("Pad", 2, "before, pads are called paddings"),
    ("Pad", 11, "pads and value are inputs"),
    ("Pad", 18, "axes are an input"),
    ("Range", 27, "stash_type is for half floats, which the claim leaves out"),
    (
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare",
        18,
        "axes are an input; noop_with_empty_axes is read",
    ),
    ("ReduceSum", 13, "axes are an input; noop_with_empty_axes is read"),
    ("Reshape", 5, "before, the shape is an attribute"),
    ("Reshape", 14, "allowzero is read"),
    ("Resize", 11, "a form of its own: coordinates, modes and sizes"),
    ("Resize", 13, "region and scales may be missing"),
    ("Resize", 18, "axes and keep_aspect_ratio_policy are read; antialias is refused"),
    ("ScatterElements ScatterND", 16, "reduction is read"),
    ("Selu", 6, "alpha and gamma have more digits"),
    ("Shape", 15, "start and end are read"),
    ("Slice", 10, "before, starts, ends and axes are attributes"),
    ("Softmax LogSoftmax Hardmax", 13, "before, all dimensions from the axis on are one, and the axis is 1"),
    ("SpaceToDepth", 28, "mode is read"),
    ("Split", 13, "before, the sizes are an attribute"),
    ("Split", 18, "num_outputs is read"),
    ("Squeeze Unsqueeze", 13, "before, the axes are an attribute"),
    ("Squeeze Unsqueeze", 23, "the same is meant"),
    ("TopK", 10, "before, k is an attribute"),
    ("TopK", 11, "largest is read; the results are sorted whether asked for or not"),
    ("Transpose", 25, "a permutation that is none was refused before, too"),
    ("Upsample", 7, "before, there are two scales, for rows and columns"),
    ("Upsample", 9, "the scales are an input"),
]


def reviewed():
    """{(operator, version): what Pli does about it}"""
    return {(name, version): words for names, version, words in REVIEWED for name in names.split()}


def history(onnx):
    """{operator: {version: schema}} of ONNX's own domain."""
    schemas = collections.defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            schemas[schema.name][schema.since_version] = schema
    return schemas


def form(onnx, schema):
    """All of a schema but element types and words, as {what: how}."""
    parts = {}
    for name, attribute in schema.attributes.items():
        default = attribute.default_value
        value = onnx.helper.get_attribute_value(default) if default.name else None
        if name not in MEANINGLESS:
            parts[f"attribute {name}"] = (attribute.type, attribute.required, value)
    for kind, parameters in (("input", schema.inputs), ("output", schema.outputs)):
        for index, parameter in enumerate(parameters):
            parts[f"{kind} {index} {parameter.name}"] = (parameter.option, parameter.is_homogeneous, parameter.min_arity)
    if schema.deprecated:
        parts["deprecated"] = True
    return parts


def words(schema):
    parts = [schema.doc] + [a.description for _, a in sorted(schema.attributes.items())]
    return [" ".join(part.split()) for part in parts + [p.description for p in [*schema.inputs, *schema.outputs]]]


def difference(onnx, before, after):
    """What `after` has that `before` has not, other than element types, in words."""
    old, new = form(onnx, before), form(onnx, after)
    changes = [f"no {part}" for part in old if part not in new]
    changes += [part if part not in old else f"other {part}" for part in new if old.get(part) != new[part]]
    if not changes and after.since_version >= FIRST_DESCRIBED and words(before) != words(after):
        changes.append("other words")
    return ", ".join(changes)


def compare_schemas(onnx, table):
    """Prints what changed and what Pli does about it. Returns how many changes nobody has looked at."""
    schemas, known, used, unknown = history(onnx), reviewed(), set(), 0
    newest = onnx.defs.onnx_opset_version()
    for claim in table["operators"]:
        name, since, until = claim["type"], claim["since"], claim["until"]
        versions = sorted(schemas.get(name, {}))
        if not versions or since < versions[0]:
            print(f"{name} {since}: there is no such operator before {versions[0] if versions else 'ever'}")
            unknown += 1
            continue
        last = newest if until == table["opset"] else until
        for before, after in zip(versions, versions[1:]):
            if not since <= after <= last or (after == since and (name, after) not in known):
                continue  # a claim that begins with a version was written for it
            change = difference(onnx, schemas[name][before], schemas[name][after])
            if not change:
                continue
            answer = known.get((name, after))
            used.add((name, after))
            unknown += answer is None
            print(f"{name} {after}: {change}: {answer or 'NOBODY HAS LOOKED AT IT'}")
    for name, version in sorted(set(known) - used):
        print(f"{name} {version}: is in REVIEWED, but changed nothing within a claim")
    changed = {n for n, v in schemas.items() for version in v if version > table["opset"]}
    if newest > table["opset"]:
        print(f"ONNX {onnx.__version__} has operator set {newest}, Pli's tables end at {table['opset']}:")
        print(f"  new or changed: {', '.join(sorted(changed)) or 'nothing'}")
    return unknown + len(set(known) - used)


def write_case(onnx, folder, case):
    """An ONNX test case as a folder. False where its values are no tensors."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for index, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{index}"
        data.mkdir()
        for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
            for number, (value, info) in enumerate(zip(values, infos)):
                if not info.type.HasField("tensor_type") or value is None:
                    return False
                if not isinstance(value, onnx.TensorProto):
                    value = onnx.numpy_helper.from_array(value, info.name)
                (data / f"{kind}_{number}.pb").write_bytes(value.SerializeToString())
    return True


def run_cases(onnx, bin_dir):
    """Runs ONNX's cases of single operators through onnx-test. Returns how many fail."""
    import onnx.backend.test.case.node as node_cases

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        written = []
        for case in node_cases.collect_testcases(None):
            if write_case(onnx, folder / case.name, case):
                written.append(str(folder / case.name))
        finished = subprocess.run([bin_dir / "onnx-test", *written], capture_output=True, text=True)
        lines = finished.stdout.splitlines()
        failed = [line for line in lines if line.startswith("fail ")]
        print("\n".join(failed + lines[-1:]))
        if not lines or finished.returncode not in (0, 1, 5):
            print(finished.stderr)
            return 1
        return len(failed)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 0 if sys.argv[1:] == ["--help"] else 2
    import onnx

    bin_dir = pathlib.Path(sys.argv[1])
    listed = subprocess.run([bin_dir / "onnx-inspect", "--operators", "--json"], check=True, capture_output=True)
    unknown = compare_schemas(onnx, json.loads(listed.stdout))
    failed = run_cases(onnx, bin_dir)
    print(f"ONNX {onnx.__version__}: {unknown} changes to look at, {failed} test cases fail")
    return 1 if unknown or failed else 0


if __name__ == "__main__":
    sys.exit(main())
