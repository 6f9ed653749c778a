// A run in the steady state takes no memory from the system.

#include "runtime/exec/executor.h"
#include "tests/exec/network.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> counts = false;
std::atomic<int64_t> allocations = 0;

void* take(size_t bytes, size_t alignment) {
  if (counts) ++allocations;
  void* memory = alignment > alignof(std::max_align_t)
                     ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                     : std::malloc(std::max<size_t>(bytes, 1));
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return take(bytes, 0); }
void* operator new(size_t bytes, std::align_val_t alignment) { return take(bytes, static_cast<size_t>(alignment)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {  // which a sanitizer has of its own
  try {
    return take(bytes, 0);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace pli::exec {
namespace {

using test::Network;

/// Convolutions of each kind of ours, what stands around them in a classifier, and outputs of each kind.
ir::Graph classifier() {
  Network net;
  const auto x = net.input("x", {ir::Dim("n"), 3, 24, 20});
  const auto relu = [&](ir::ValueId value) { return net.node("Relu", {value}); };
  const auto first = relu(net.conv(x, 3, 16, 3, 2));
  const auto wide = relu(net.conv(first, 16, 32, 3));  // Winograd
  const auto depthwise = net.node("HardSwish", {net.conv(wide, 32, 32, 3, 1, 32)});
  const auto narrow = net.node("Add", {net.conv(depthwise, 32, 16, 1), first});
  const auto both = net.node("Concat", {narrow, first}, {{"axis", int64_t{1}, {}}});
  const auto pooled =
      net.node("MaxPool", {both},
               {{"kernel_shape", std::vector<int64_t>{2, 2}, {}}, {"strides", std::vector<int64_t>{2, 2}, {}}});
  const auto mean = net.node("GlobalAveragePool", {pooled});
  const auto gate = net.node("Sigmoid", {net.conv(mean, 32, 32, 1)});
  const auto flat = net.node("Flatten", {net.node("GlobalAveragePool", {net.node("Mul", {pooled, gate})})});
  const auto scores = net.node("Gemm", {flat, net.weight({32, 10}), net.weight({10})});
  net.output("probabilities", net.node("Softmax", {scores}));
  net.output("scores", scores);
  net.output("same", x);
  return std::move(net.graph);
}

TEST(Allocations, ARunIntoMemoryOfTheCallersMakesNone) {
  for (const int threads : {1, 2}) {
    const Executor executor(classifier(), {.threads = threads});
    Network net;
    std::vector<float> probabilities(20), same(2 * 3 * 24 * 20), again(20);
    const NamedValues inputs{{"x", net.tensor({2, 3, 24, 20})}};
    const std::vector<OutputMemory> outputs{{"same", same}, {"probabilities", probabilities}};
    executor.run(inputs, outputs, {});
    executor.run(inputs, outputs, {});
    allocations = 0;
    counts = true;
    for (int i = 0; i < 10; ++i) executor.run(inputs, outputs, {});
    counts = false;
    EXPECT_EQ(allocations, 0) << threads << " threads";
    const NamedValues expected = executor.run(inputs);
    const auto numbers = expected.at("probabilities").data<float>();
    EXPECT_EQ(std::vector<float>(numbers.begin(), numbers.end()), probabilities);
    EXPECT_TRUE(std::ranges::equal(same, inputs.at("x").data<float>()));
  }
}

}  // namespace
}  // namespace pli::exec
