#!/usr/bin/env bash
# Two activations of one algorithm behind a product: oneDNN 2.6.3 computes the second with the numbers of the first.
#
# A primitive takes several post-ops, each with an alpha and a beta of its own. Where two of them are eltwise operations
# by the same algorithm, a matrix product applies that of the first twice: LeakyRelu with 0.5, then Relu, gives -0.75 for
# -3 instead of 0. Two of different algorithms are right. Creating the primitive succeeds, and nothing is said.
#
# Needs g++ and the network. Fails when the results are others.
set -euo pipefail
shopt -s inherit_errexit

packages=(libdnnl2=2.6.3-1 libdnnl-dev=2.6.3-1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download "${packages[@]}"
for package in ./*.deb; do dpkg -x "$package" root; done

cat >program.cpp <<'CPP'
#include <oneapi/dnnl/dnnl.hpp>

#include <cstdio>

using namespace dnnl;

struct Eltwise {
  algorithm kind;
  float alpha, beta;
};

float after(const Eltwise& first, const Eltwise& second, float x) {  // x times a matrix that changes nothing
  const engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const memory::desc matrix({2, 2}, memory::data_type::f32, memory::format_tag::ab);
  post_ops ops;
  for (const Eltwise& each : {first, second}) ops.append_eltwise(1, each.kind, each.alpha, each.beta);
  primitive_attr attributes;
  attributes.set_post_ops(ops);
  const matmul::primitive_desc description(matmul::desc(matrix, matrix, matrix), attributes, cpu);
  float given[] = {x, 0, 0, x}, identity[] = {1, 0, 0, 1}, result[4];
  memory source(matrix, cpu, given), weights(matrix, cpu, identity), destination(matrix, cpu, result);
  matmul(description).execute(queue,
                              {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, destination}});
  queue.wait();
  return result[0];
}

int main() {
  constexpr auto relu = algorithm::eltwise_relu, clip = algorithm::eltwise_clip, elu = algorithm::eltwise_elu;
  std::printf("LeakyRelu 0.5, Relu of -3: %g for 0\n", after({relu, 0.5f, 0}, {relu, 0, 0}, -3));
  std::printf("Clip -5 to 4, Clip -1 to 3 of -3: %g for -1\n", after({clip, -5, 4}, {clip, -1, 3}, -3));
  std::printf("LeakyRelu 0.5, Clip -1 to 3 of -3: %g for -1\n", after({relu, 0.5f, 0}, {clip, -1, 3}, -3));
  std::printf("Elu 1, Elu 0.5 of -3: %.3f for -0.307\n", after({elu, 1, 0}, {elu, 0.5f, 0}, -3));
}
CPP
library=$(dirname "$(find root -name 'libdnnl.so.2' | head -n 1)")
g++ -std=c++17 -Iroot/usr/include program.cpp -o program -Wl,--allow-shlib-undefined "$library/libdnnl.so.2"
LD_LIBRARY_PATH=$library ./program | tee found

# Seen on 2026-11-28 with oneDNN 2.6.3-1 of Debian 12, on a processor with AVX2:
diff found - <<'SEEN'
LeakyRelu 0.5, Relu of -3: -0.75 for 0
Clip -5 to 4, Clip -1 to 3 of -3: -3 for -1
LeakyRelu 0.5, Clip -1 to 3 of -3: -1 for -1
Elu 1, Elu 0.5 of -3: -0.613 for -0.307
SEEN
echo "activations of one algorithm still share the numbers of the first"
