// Kernels that threads share: whatever their number, each result has the bits that one thread gives.

#include "runtime/compute/convolution.h"
#include "runtime/compute/matmul.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/memory.h"
#include "runtime/core/tensor.h"

#include <gtest/gtest.h>

#include <random>

namespace pli::compute {
namespace {

std::vector<float> random_floats(int64_t count, std::mt19937& rng) {
  std::uniform_real_distribution<float> distribution(-1, 1);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = distribution(rng);
  return numbers;
}

struct Result {
  std::vector<float> numbers;
  std::string implementation;
  bool operator==(const Result& other) const { return numbers == other.numbers; }
};

std::shared_ptr<std::byte> aligned(std::span<const float> numbers) {
  auto memory = allocate(numbers.size_bytes());
  std::ranges::copy(std::as_bytes(numbers), memory.get());
  return memory;
}

/// `make` is called where the threads are known.
template <class Make>
Result run(int threads, const Make& make, std::span<const std::vector<float>> operands, std::vector<float> result) {
  ThreadPool pool(threads);
  const ThreadScope scope(&pool);
  const std::unique_ptr<Kernel> kernel = make();
  const auto scratch = allocate(kernel->scratch_bytes());
  const auto state = kernel->make_state();
  std::vector<std::shared_ptr<std::byte>> memory;
  std::vector<const void*> inputs;
  for (const std::vector<float>& operand : operands) inputs.push_back(memory.emplace_back(aligned(operand)).get());
  for (int i = 0; i < 2; ++i) {  // the second finds what the first has left
    const auto output = aligned(result);
    void* outputs[] = {output.get()};
    kernel->run({inputs, outputs, scratch.get(), state.get()});
    if (i == 1) std::memcpy(result.data(), output.get(), result.size() * sizeof(float));
  }
  return {std::move(result), kernel->implementation()};
}

int64_t count_of(const Shape& shape) { return *checked_size(shape); }

// --- convolutions ----------------------------------------------------------------------------------------------------

struct Case {
  const char* name;
  Shape source;  // [N, C, ...]
  int64_t filters;
  Shape kernel;
  int64_t groups = 1, stride = 1, dilation = 1, pad = 0;
  bool transposed = false;
  bool is_divided = true;  // by two threads
};

enum class Sum { kNone, kOperand, kInPlace };

class Convolution {
 public:
  Convolution(const Case& c, Sum sum, bool has_bias, bool knows_weights, std::mt19937& rng) {
    const size_t rank = c.kernel.size();
    problem.transposed = c.transposed;
    problem.groups = c.groups;
    problem.strides.assign(rank, c.stride);
    problem.dilations.assign(rank, c.dilation);
    problem.pads_begin.assign(rank, c.pad);
    problem.pads_end.assign(rank, c.pad);
    Shape result{c.source[0], c.filters};
    for (size_t i = 0; i < rank; ++i) {
      const int64_t size = c.source[i + 2], extent = (c.kernel[i] - 1) * c.dilation + 1;
      result.push_back(c.transposed ? (size - 1) * c.stride + extent - 2 * c.pad
                                    : (size + 2 * c.pad - extent) / c.stride + 1);
    }
    problem.source = channels_last(DataType::kFloat32, c.source);
    problem.result = channels_last(DataType::kFloat32, result);
    problem.weight_dims =
        c.transposed ? Shape{c.source[1], c.filters / c.groups} : Shape{c.filters, c.source[1] / c.groups};
    problem.weight_dims.insert(problem.weight_dims.end(), c.kernel.begin(), c.kernel.end());
    operands = {random_floats(count_of(c.source), rng), random_floats(count_of(problem.weight_dims), rng)};
    weight = Tensor::copy<float>(problem.weight_dims, operands[1]);
    if (knows_weights) problem.weight = &weight;
    if (has_bias) {
      operands.push_back(random_floats(c.filters, rng));
      bias = Tensor::copy<float>({c.filters}, operands[2]);
      problem.has_bias = true;
      if (knows_weights) problem.bias = &bias;
    }
    if (sum == Sum::kInPlace) problem.post_ops.push_back({PostOp::Kind::kAddInPlace});
    if (sum == Sum::kOperand) {
      problem.post_ops.push_back({PostOp::Kind::kAdd, 0, 0, operands.size(), problem.result});
      operands.push_back(random_floats(count_of(result), rng));
    }
    problem.post_ops.push_back({PostOp::Kind::kRelu});
    before = random_floats(count_of(result), rng);
  }

  Result run(int threads) const {
    return compute::run(
        threads, [&] { return make_convolution(problem); }, operands, before);
  }

  ConvolutionProblem problem;
  std::vector<std::vector<float>> operands;
  Tensor weight, bias;
  std::vector<float> before;
};

const std::vector<Case> kCases{
    {"Rows", {1, 19, 37, 23}, 24, {3, 5}, 1, 1, 1, 1},
    {"RowsFarApart", {1, 16, 61, 40}, 24, {3, 3}, 1, 2, 1, 1},
    {"RowsOfDilatedFilters", {1, 16, 40, 33}, 32, {3, 3}, 1, 1, 3, 2},
    {"RowsOfGroups", {1, 48, 30, 31}, 48, {3, 3}, 3, 1, 1, 1},
    {"RowsOfManyGroups", {1, 65, 30, 31}, 104, {3, 3}, 13, 2, 1, 1},
    {"FewRowsOfManyGroups", {1, 128, 6, 40}, 128, {3, 3}, 32, 1, 1, 1},
    {"RowsOfWideGroups", {1, 48, 30, 31}, 78, {3, 3}, 6, 1, 1, 1},
    {"SmallImages", {2, 128, 5, 5}, 128, {3, 3}, 1, 1, 1, 1},
    {"ManySmallImages", {150, 64, 4, 4}, 64, {3, 3}},
    {"RowsOfDepthwise", {1, 72, 29, 30}, 72, {3, 3}, 72, 1, 1, 1},
    {"RowsOfDepthwiseFarApart", {1, 144, 41, 23}, 144, {5, 5}, 144, 2, 1, 2},
    {"Pixels", {1, 40, 21, 19}, 56, {1, 1}},
    {"PixelsOfImages", {3, 40, 9, 11}, 56, {1, 1}},
    {"PixelsFarApart", {1, 64, 28, 28}, 80, {1, 1}, 1, 2},
    {"FewRows", {1, 64, 5, 6}, 88, {3, 3}, 1, 1, 1, 1, false, false},
    {"FewPixels", {1, 96, 4, 5}, 200, {1, 1}, 1, 1, 1, 0, false, false},
    {"FewRowsFarApart", {1, 64, 11, 9}, 96, {3, 3}, 1, 2, 1, 1, false, false},
    {"Images", {5, 24, 13, 11}, 40, {3, 3}, 1, 1, 1, 1},
    {"ImagesOfOnePixel", {4, 256, 1, 1}, 320, {1, 1}, 1, 1, 1, 0, false, false},
    {"OneDimension", {1, 32, 400}, 40, {5}, 1, 1, 1, 2},
    {"SomeOfOneDimension", {2, 32, 301}, 48, {4}, 1, 2, 1, 1},
    {"ThreeDimensions", {1, 9, 17, 15, 14}, 16, {3, 2, 3}, 1, 1, 1, 1},
    {"Transposed", {1, 24, 30, 21}, 16, {4, 4}, 1, 2, 1, 1, true},
    {"TransposedWithoutOverlap", {1, 32, 20, 20}, 24, {2, 2}, 1, 2, 1, 0, true},
    {"TransposedWithGaps", {1, 32, 20, 20}, 24, {2, 2}, 1, 3, 1, 0, true, false},
    {"TransposedImages", {3, 16, 9, 10}, 24, {3, 3}, 1, 2, 1, 1, true},
    {"OneRowOfSeveral", {1, 54, 3, 60}, 40, {3, 4}, 2, 3, 1, 1, false, false},
    {"Small", {1, 3, 8, 8}, 4, {3, 3}, 1, 1, 1, 1, false, false},
};

class Slices : public testing::TestWithParam<Case> {};

TEST_P(Slices, OfConvolutionsGiveTheSameBits) {
  std::mt19937 rng(21);
  for (const Sum sum : {Sum::kNone, Sum::kOperand, Sum::kInPlace})
    for (const bool has_bias : {true, false})
      for (const bool knows_weights : {true, false}) {
        const Convolution convolution(GetParam(), sum, has_bias, knows_weights, rng);
        const Result alone = convolution.run(1);
        for (const int threads : {2, 3, 5})
          ASSERT_EQ(convolution.run(threads), alone)
              << threads << " threads, sum " << static_cast<int>(sum) << ", bias " << has_bias << ", constant "
              << knows_weights << ", " << alone.implementation;
      }
}

TEST_P(Slices, AreMadeWhereThatIsWorthIt) {
  std::mt19937 rng(22);
  const bool knows_weights = GetParam().transposed;  // others with known weights are no matter of slices
  const std::string made = Convolution(GetParam(), Sum::kNone, true, knows_weights, rng).run(2).implementation;
  const bool is_divided = made.find(" x") != std::string::npos;
  if (GetParam().is_divided && !is_divided && made.starts_with("brg_conv"))
    GTEST_SKIP() << "oneDNN 3 takes another kernel for a part than for the whole";
  EXPECT_EQ(is_divided, GetParam().is_divided) << made;
}

INSTANTIATE_TEST_SUITE_P(All, Slices, testing::ValuesIn(kCases), [](const auto& each) { return each.param.name; });

TEST(SlicesOfRandomShapes, OfConvolutionsGiveTheSameBits) {
  std::mt19937 rng(23);
  const auto below = [&](int64_t limit) { return static_cast<int64_t>(rng() % static_cast<uint32_t>(limit)); };
  int divided = 0;
  for (int round = 0; round < 120; ++round) {
    SCOPED_TRACE(round);
    const size_t rank = 1 + static_cast<size_t>(below(5) % 3);
    const int64_t groups = below(4) == 0 ? 1 + below(6) : 1;
    Case c{"", {1 + below(5), groups * (1 + below(40))}, groups * (1 + below(40)), {}, groups};
    if (below(5) == 0) c.groups = c.source[1], c.filters = c.source[1] * (1 + below(2));  // depthwise
    c.transposed = below(5) == 0;
    c.stride = 1 + below(3);
    c.dilation = 1 + below(2);
    int64_t least = 100;
    for (size_t i = 0; i < rank; ++i) {
      c.source.push_back(1 + below(rank == 1 ? 600 : rank == 2 ? 40 : 14));
      c.kernel.push_back(1 + below(std::min<int64_t>(5, (c.source.back() - 1) / c.dilation + 1)));
      least = std::min(least, (c.kernel.back() - 1) * c.dilation);
    }
    c.pad = std::min<int64_t>(below(3), least);
    if (c.transposed && c.pad > 0) c.pad = std::min(c.pad, least / 2);
    const Convolution convolution(c, static_cast<Sum>(below(3)), below(2) == 0, below(2) == 0, rng);
    const Result alone = convolution.run(1);
    for (const int threads : {2, 3}) {
      const Result result = convolution.run(threads);
      ASSERT_EQ(result, alone) << threads << " " << to_string(c.source) << to_string(convolution.problem.weight_dims)
                               << " groups " << c.groups << " stride " << c.stride << " dilation " << c.dilation
                               << " pad " << c.pad << " transposed " << c.transposed << " " << result.implementation;
      divided += result.implementation.find(" x") != std::string::npos;
    }
  }
  EXPECT_GT(divided, 30);
}

// --- products --------------------------------------------------------------------------------------------------------

struct Product {
  const char* name;
  Shape a, b, result;
  bool adds = false;
};

const std::vector<Product> kProducts{
    {"Rows", {70, 65}, {65, 83}, {70, 83}, true},
    {"RowsOfOne", {1, 90, 65}, {1, 65, 83}, {1, 90, 83}, true},
    {"Columns", {1, 300}, {300, 1000}, {1, 1000}},
    {"ColumnsOfFewRows", {5, 300}, {300, 500}, {5, 500}},
    {"ColumnsThatAreAddedTo", {5, 300}, {300, 500}, {5, 500}, true},
    {"Matrices", {7, 40, 33}, {7, 33, 50}, {7, 40, 50}, true},
    {"MatricesOfOne", {1, 6, 40, 33}, {1, 6, 33, 50}, {1, 6, 40, 50}},
    {"OneOfMany", {6, 40, 33}, {1, 33, 50}, {6, 40, 50}},
    {"ManyOfOne", {1, 40, 33}, {6, 33, 50}, {6, 40, 50}},
};

class ProductSlices : public testing::TestWithParam<Product> {};

TEST_P(ProductSlices, GiveTheSameBits) {
  std::mt19937 rng(31);
  const Product& c = GetParam();
  for (const bool is_constant : {true, false})
    for (const bool is_transposed : {true, false})
      for (const bool has_bias : {true, false}) {
        MatMulProblem problem;
        problem.a = plain(DataType::kFloat32, c.a);
        problem.b = plain(DataType::kFloat32, c.b);
        problem.result = plain(DataType::kFloat32, c.result);
        problem.scale = 0.75f;
        if (is_transposed) {
          Shape turned = c.b;
          std::swap(turned.back(), turned[turned.size() - 2]);
          problem.b.strides = plain_strides(turned);
          std::swap(problem.b.strides.back(), problem.b.strides[turned.size() - 2]);
        }
        std::vector<std::vector<float>> operands{random_floats(count_of(c.a), rng), random_floats(count_of(c.b), rng)};
        const Tensor b = Tensor::copy<float>(c.b, operands[1]);
        if (is_constant) problem.b_constant = &b;
        if (has_bias) {
          problem.has_bias = true;
          operands.push_back(random_floats(c.result.back(), rng));
        }
        if (c.adds) {
          problem.post_ops.push_back({PostOp::Kind::kAdd, 0, 0, operands.size(), problem.result});
          operands.push_back(random_floats(count_of(c.result), rng));
        }
        problem.post_ops.push_back({PostOp::Kind::kTanh});
        const auto run_with = [&](int threads) {
          return run(
              threads, [&] { return make_matmul(problem); }, operands,
              std::vector<float>(static_cast<size_t>(count_of(c.result))));
        };
        const Result alone = run_with(1);
        for (const int threads : {2, 3})
          ASSERT_EQ(run_with(threads), alone)
              << threads << " threads, constant " << is_constant << ", transposed " << is_transposed << ", bias "
              << has_bias << ", " << run_with(threads).implementation;
      }
}

INSTANTIATE_TEST_SUITE_P(All, ProductSlices, testing::ValuesIn(kProducts),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace pli::compute
