#!/usr/bin/env bash
# Breaks the folding on purpose, one thing at a time, and expects a test to fail each time.
set -euo pipefail

if [[ $# -gt 0 ]]; then
  cat <<'HELP'
usage: tools/mutate.sh

Copies the sources to a temporary folder, builds the tests of the passes there, and then, for each of some faults that are
easily made, makes it, builds and runs them. Exit code 1 when one goes unnoticed. Takes about a quarter of an hour.
HELP
  [[ $1 == --help ]] && exit 0 || exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$folder"
cd "$folder"
cmake --preset release -DCMAKE_CXX_FLAGS=-Wno-error >/dev/null
build() { cmake --build --preset release --target pli_passes_test >build.log 2>&1; }
holds() { PLI_RANDOM_GRAPHS=200 build/release/bin/pli_passes_test >test.log 2>&1; }
build && holds || { echo "mutate.sh: the tests fail as they are"; tail -20 build.log test.log; exit 1; }

# name ~ file ~ what is there ~ what is put in its place
faults=$(cat <<'FAULTS'
epsilon is dropped~runtime/ops/normalization/batch_normalization.cpp~view.epsilon = static_cast<double>(node.float_or("epsilon", 1e-5f));~view.epsilon = 0;
the bias is not scaled~passes/affine/absorb.cpp~* (factor * old) +~* 0 + (factor * old) +
beta is dropped~passes/affine/absorb.cpp~old, static_cast<double>(gemm.view.beta), scale~old, 1.0, scale
alpha is dropped~passes/affine/absorb.cpp~number *= static_cast<double>(gemm->view.alpha);~number *= 1.0;
the group is ignored~passes/affine/absorb.cpp~return i / rows_per_group * columns + j;~return 0 * i + j;
the axis is not checked~passes/affine/absorb.cpp~if (i != axis && !affine.constant_along(i))~if (false)
padding is not checked~passes/affine/absorb.cpp~if (affine.shifts() && !sees_whole_kernel(conv->view))~if (false && !sees_whole_kernel(conv->view))
consumers are not checked~passes/affine/search.cpp~if (!used_only_by(graph_, value, use.node, why_)) return false;~
the sign of a scale is not checked~passes/affine/affine.cpp~[](double value) { return value > 0; }~[](double value) { return value != 0; }
a shift passes a Relu~passes/affine/carry.cpp~if (affine.shifts()) return refuse(why, "a shift does not pass");~
zeros that a pool counts are ignored~passes/affine/carry.cpp~if (affine.shifts() && pads &&~if (false && affine.shifts() && pads &&
both summands are shifted~passes/affine/carry.cpp~const bool takes_shift = !shifted && fits~const bool takes_shift = fits
channels that Resize mixes~passes/affine/carry.cpp~|| !keeps_axis(c, i, affine.rank())~|| (false && !keeps_axis(c, i, affine.rank()))
a branch is embedded one tap off~passes/merge_parallel_convolutions.cpp~const int64_t offset = into.pads_begin[i] - begin~const int64_t offset = into.pads_begin[i] - begin + (into.extent(i) > 1 ? 1 : 0)
integers are not mirrored~passes/quantized_weight.cpp~values[i] = number == 0 ? zero : 2 * zero - values[i];~values[i] = number == 0 ? zero : values[i];
the axis of stored scales is not checked~passes/quantized_weight.cpp~if (axis >= 0 && axis != before) return~if (false) return
a call gives its attributes to nobody~runtime/ir/inline_subgraph.cpp~if (given == call_->attributes.end()) continue;~continue;
an axis stays where it was~passes/layout/along_axes.cpp~turn->attributes.push_back(with("axis", place_of(axis, s.p)));~turn->attributes.push_back(with("axis", axis));
pads stay in order~passes/layout/sizes.cpp~Shape pads = permuted(view->begin, s.p);~Shape pads = view->begin;
the rows of a weight stay in order~passes/layout/turn_region.cpp~Permutation p = rows.p;~Permutation p = rows.p; std::ranges::sort(p);
a Transpose that joins another costs as before~passes/layout/region.cpp~cost_of_transpose(graph_, permuted(dims, p), permuted(inverse(p), own))~kept
groups of axes come apart~passes/layout/axis_groups.cpp~if (!std::ranges::equal(group->in, std::span(input).subspan(i, group->in.size()))) return std::nullopt;~
the step of a Slice of a Slice is dropped~passes/merge_consecutive.cpp~step = checked_mul(first.step, second.step);~step = std::optional(first.step);
a HardSigmoid is not shifted~passes/fuse_hard_sigmoid.cpp~static_cast<float>(ramp.shift / ramp.high)~0.0f
positions count from the front only~passes/unpack_sequences.cpp~*at < 0 ? *at + limit : *at~*at < 0 ? 0 : *at
FAULTS
)
unnoticed=0
while IFS='~' read -r name file before after; do
  cp "$file" "$file.original"
  python3 - "$file" "$before" "$after" <<'PYTHON'
import sys
path, before, after = sys.argv[1:]
source = open(path).read()
if before not in source:
    sys.exit(f"mutate.sh: {path} has no {before}")
open(path, "w").write(source.replace(before, after, 1))
PYTHON
  if ! build; then
    echo "does not compile   $name"
    unnoticed=1
  elif holds; then
    echo "UNNOTICED          $name"
    unnoticed=1
  else
    echo "noticed by $(grep -c '^\[  FAILED  \].*(' test.log || true) tests    $name"
  fi
  mv "$file.original" "$file"
  touch "$file"
done <<<"$faults"
exit $unnoticed
