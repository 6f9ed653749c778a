#include "runtime/core/tensor.h"
#include "runtime/exec/executor.h"
#include "tests/exec/network.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>
#include <cstring>

namespace pli::test {
namespace {

using exec::Executor;

/// Pages of the tensor that are in memory, of those that are its own.
size_t pages_in_memory(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t first = (begin + page - 1) / page * page, end = (begin + bytes.size()) / page * page;
  std::vector<unsigned char> there((end - first) / page);
  EXPECT_EQ(::mincore(reinterpret_cast<void*>(first), end - first, there.data()), 0);
  return static_cast<size_t>(std::ranges::count_if(there, [](unsigned char c) { return (c & 1) != 0; }));
}

/// Each kind of weight that is packed, and one that is read by two.
struct Weights {
  Network net;
  std::vector<std::span<const std::byte>> alone;
  std::span<const std::byte> shared;

  Weights() {
    using Attributes = std::vector<ir::Attribute>;
    const ir::ValueId x = net.input("x", {ir::Dim("n"), 40, ir::Dim("h"), ir::Dim("w")});
    ir::ValueId y = net.node("Conv", {x, weight({72, 40, 3, 3})}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}});
    y = net.node("Conv", {y, weight({96, 18, 3, 3})},
                 {{"group", int64_t{4}, {}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}});
    y = net.node("ConvTranspose", {y, weight({96, 40, 2, 3})}, Attributes{{"strides", std::vector<int64_t>{2, 1}, {}}});
    const ir::ValueId both = net.weight({40, 40, 5, 5});
    shared = net.graph.constant_of(both)->bytes();
    const Attributes same{{"pads", std::vector<int64_t>{2, 2, 2, 2}, {}}};
    y = net.node("Conv", {net.node("Conv", {y, both}, same), both}, same);
    y = net.node("Flatten", {net.node("GlobalAveragePool", {y})});
    y = net.node("MatMul", {y, weight({40, 500})});
    net.output("y", net.node("Gemm", {y, weight({300, 500})}, Attributes{{"transB", int64_t{1}, {}}}));
  }

  ir::ValueId weight(Shape shape) {
    const ir::ValueId id = net.weight(std::move(shape));
    alone.push_back(net.graph.constant_of(id)->bytes());
    return id;
  }
};

/// Whatever shapes come, in whatever order: nothing but memory differs from an executor that keeps its weights.
TEST(ReleasedWeights, ComputeTheSame) {
  Weights given, kept;
  SessionOptions options;
  options.plan_cache = 1;
  const Executor releases(std::move(given.net.graph), options), keeps(kept.net.graph, options);
  for (const Shape& shape : {Shape{1, 40, 9, 7}, {3, 40, 1, 1}, {1, 40, 1, 30}, {2, 40, 20, 21}, {1, 40, 9, 7}}) {
    const Tensor x = kept.net.tensor(shape);
    const NamedValues a = releases.run({{"x", x}}), b = keeps.run({{"x", x}});
    const Tensor& actual = a.at("y").tensor();
    const Tensor& expected = b.at("y").tensor();
    ASSERT_EQ(actual.size(), static_cast<size_t>(300 * shape[0]));
    EXPECT_EQ(std::memcmp(actual.bytes().data(), expected.bytes().data(), expected.bytes().size()), 0);
  }
  // What is left of each is no more than what its kernel reads as it is.
  size_t released = 0;
  for (const auto& bytes : given.alone) released += pages_in_memory(bytes) == 0;
  EXPECT_GE(released, 3u);
  EXPECT_GT(pages_in_memory(given.shared), 0u);
  for (const auto& bytes : kept.alone) EXPECT_GT(pages_in_memory(bytes), 0u);
}

/// An input that decides shapes makes constants of what depends on it, while a plan is made: weights may be read then.
TEST(ReleasedWeights, NothingIsReleasedWhereInputsDecideShapes) {
  Network net;
  const ir::ValueId x = net.input("x", {ir::Dim("n"), 200});
  const ir::ValueId shape = net.input("shape", {2}, DataType::kInt64);
  const ir::ValueId w = net.weight({200, 120});
  const auto bytes = net.graph.constant_of(w)->bytes();
  net.output("y", net.node("Reshape", {net.node("MatMul", {x, w}), shape}));
  const Tensor data = net.tensor({2, 200});
  const Executor executor(std::move(net.graph), {});
  for (const int64_t rows : {4, 6})
    (void)executor.run({{"x", data}, {"shape", int64_tensor(std::vector<int64_t>{rows, 240 / rows})}});
  EXPECT_GT(pages_in_memory(bytes), 0u);
}

}  // namespace
}  // namespace pli::test
