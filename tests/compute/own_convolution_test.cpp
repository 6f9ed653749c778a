// Convolutions and products by kernels of ours against sums in double, at every SIMD level.

#include "runtime/compute/convolution.h"
#include "runtime/compute/matmul.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/memory.h"
#include "runtime/core/tensor.h"
#include "tests/compute/simd_limit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace pli::compute {
namespace {

using Kind = PostOp::Kind;
using Numbers = std::vector<float>;

int64_t count_of(const Shape& shape) { return *checked_size(shape); }

struct Case {
  Shape source;  // [N, C, ...]
  int64_t filters = 1;
  Shape kernel;
  int64_t groups = 1;
  Shape strides, dilations, pads_begin, pads_end;

  static Case simple(Shape source, int64_t filters, Shape kernel, int64_t stride = 1, int64_t pad = 0,
                     int64_t groups = 1) {
    const size_t rank = kernel.size();
    return {std::move(source),   filters,        std::move(kernel), groups,
            Shape(rank, stride), Shape(rank, 1), Shape(rank, pad),  Shape(rank, pad)};
  }

  Shape result() const {
    Shape dims{source[0], filters};
    for (size_t i = 0; i < kernel.size(); ++i)
      dims.push_back((source[i + 2] + pads_begin[i] + pads_end[i] - (kernel[i] - 1) * dilations[i] - 1) / strides[i] +
                     1);
    return dims;
  }
  std::string text() const {
    return to_string(source) + " " + std::to_string(filters) + " filters " + to_string(kernel) + " groups " +
           std::to_string(groups) + " strides " + to_string(strides) + " dilations " + to_string(dilations) + " pads " +
           to_string(pads_begin) + to_string(pads_end);
  }
};

/// Calls body(place, number) for each place of `dims`, row by row.
template <class Body>
void for_each_place(const Shape& dims, const Body& body) {
  Shape at(dims.size(), 0);
  const int64_t count = count_of(dims);
  for (int64_t i = 0; i < count; ++i) {
    body(at, i);
    for (size_t axis = dims.size(); axis-- > 0;)
      if (++at[axis] < dims[axis])
        break;
      else
        at[axis] = 0;
  }
}

int64_t offset_of(const TensorDesc& desc, const Shape& at) {
  int64_t offset = 0;
  for (size_t i = 0; i < at.size(); ++i) offset += at[i] * desc.strides[i];
  return offset;
}

struct Sums {
  std::vector<double> values, magnitudes;  // of the products and of their absolute values
};

/// Laid out as the result.
Sums sums_of(const Case& c, const Numbers& source, const Numbers& weight, const Numbers& bias) {
  const TensorDesc from = channels_last(DataType::kFloat32, c.source),
                   to = channels_last(DataType::kFloat32, c.result());
  Shape weight_dims{c.filters, c.source[1] / c.groups};
  weight_dims.insert(weight_dims.end(), c.kernel.begin(), c.kernel.end());
  const int64_t channels = weight_dims[1], spatial_taps = count_of(c.kernel);
  const auto size = static_cast<size_t>(count_of(to.dims));
  Sums sums{std::vector<double>(size), std::vector<double>(size)};
  for_each_place(to.dims, [&](const Shape& at, int64_t) {
    const int64_t filter = at[1], group = filter / (c.filters / c.groups);
    double value = bias.empty() ? 0 : static_cast<double>(bias[static_cast<size_t>(filter)]),
           magnitude = std::abs(value);
    for_each_place(c.kernel, [&](const Shape& tap, int64_t tap_index) {
      int64_t read = at[0] * from.strides[0] + group * channels;
      for (size_t i = 0; i < c.kernel.size(); ++i) {
        const int64_t place = at[i + 2] * c.strides[i] - c.pads_begin[i] + tap[i] * c.dilations[i];
        if (place < 0 || place >= c.source[i + 2]) return;
        read += place * from.strides[i + 2];
      }
      for (int64_t channel = 0; channel < channels; ++channel) {
        const double product =
            static_cast<double>(source[static_cast<size_t>(read + channel)]) *
            static_cast<double>(weight[static_cast<size_t>((filter * channels + channel) * spatial_taps + tap_index)]);
        value += product;
        magnitude += std::abs(product);
      }
    });
    const auto place = static_cast<size_t>(offset_of(to, at));
    sums.values[place] = value;
    sums.magnitudes[place] = magnitude;
  });
  return sums;
}

double applied(const PostOp& op, double x, double operand, double before) {
  switch (op.kind) {
    case Kind::kRelu:
      return x < 0 ? static_cast<double>(op.alpha) * x : x;
    case Kind::kClip:
      return std::min(std::max(x, static_cast<double>(op.alpha)), static_cast<double>(op.beta));
    case Kind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Kind::kTanh:
      return std::tanh(x);
    case Kind::kElu:
      return x < 0 ? static_cast<double>(op.alpha) * std::expm1(x) : x;
    case Kind::kHardSwish:
      return x * std::min(std::max(x + 3, 0.0), 6.0) / 6;
    case Kind::kSwish:
      return x / (1 + std::exp(-static_cast<double>(op.alpha) * x));
    case Kind::kGeluErf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Kind::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Kind::kLinear:
      return static_cast<double>(op.alpha) * x + static_cast<double>(op.beta);
    case Kind::kAdd:
      return x + operand;
    case Kind::kAddInPlace:
      return x + before;
  }
  return 0;
}

class Operands {
 public:
  explicit Operands(unsigned seed) : rng_(seed) {}
  Numbers random(int64_t count) {
    std::uniform_real_distribution<float> distribution(-1, 1);
    Numbers numbers(static_cast<size_t>(count));
    for (float& number : numbers) number = distribution(rng_);
    return numbers;
  }
  int64_t below(int64_t limit) { return static_cast<int64_t>(rng_() % static_cast<uint32_t>(limit)); }

 private:
  std::mt19937 rng_;
};

/// The kernel's result; `before` is what its memory holds.
Numbers run(const Kernel& kernel, std::span<const Numbers> operands, const Numbers& before) {
  const auto scratch = allocate(kernel.scratch_bytes());
  const auto state = kernel.make_state();
  std::vector<const void*> inputs;
  for (const Numbers& operand : operands) inputs.push_back(operand.data());
  Numbers result = before;
  void* outputs[] = {result.data()};
  kernel.run({inputs, outputs, scratch.get(), state.get()});
  return result;
}

struct Asked {
  PostOps ops;
  bool has_bias = true, bias_is_constant = true, exact = false;
  int threads = 1;
  int64_t gap = 0;         // numbers between two pixels of the source
  int64_t result_gap = 0;  // likewise
};

/// The first channels of an image that has more.
TensorDesc some_channels(const Shape& dims, int64_t more) {
  Shape all = dims;
  all[1] += more;
  return {DataType::kFloat32, dims, channels_last(DataType::kFloat32, all).strides};
}

/// Pixels apart, what lies between them not to be read.
Numbers with_gaps(const Numbers& pixels, int64_t channels, int64_t gap) {
  Numbers result;
  for (auto pixel = pixels.begin(); pixel != pixels.end(); pixel += channels) {
    result.insert(result.end(), pixel, pixel + channels);
    result.insert(result.end(), static_cast<size_t>(gap), std::numeric_limits<float>::quiet_NaN());
  }
  return result;
}

Numbers without_gaps(const Numbers& pixels, int64_t channels, int64_t gap) {
  Numbers result;
  for (auto pixel = pixels.begin(); pixel < pixels.end(); pixel += channels + gap) {
    result.insert(result.end(), pixel, pixel + channels);
    const bool is_kept = std::all_of(pixel + channels, pixel + channels + gap, [](float x) { return std::isnan(x); });
    EXPECT_TRUE(is_kept) << "written to between pixels";
  }
  return result;
}

/// Compares with the sums in double; gives the implementation.
std::string check(const Case& c, const Asked& asked, unsigned seed) {
  Operands random(seed);
  ConvolutionProblem problem;
  problem.groups = c.groups;
  problem.strides = c.strides;
  problem.dilations = c.dilations;
  problem.pads_begin = c.pads_begin;
  problem.pads_end = c.pads_end;
  problem.source = some_channels(c.source, asked.gap);
  problem.result = some_channels(c.result(), asked.result_gap);
  problem.weight_dims = {c.filters, c.source[1] / c.groups};
  problem.weight_dims.insert(problem.weight_dims.end(), c.kernel.begin(), c.kernel.end());
  problem.exact = asked.exact;
  std::vector<Numbers> operands{random.random(count_of(c.source)), random.random(count_of(problem.weight_dims)),
                                asked.has_bias ? random.random(c.filters) : Numbers()};
  const Tensor weight = Tensor::copy<float>(problem.weight_dims, operands[1]);
  const Tensor bias = Tensor::copy<float>({static_cast<int64_t>(operands[2].size())}, operands[2]);
  problem.weight = &weight;
  problem.has_bias = asked.has_bias;
  if (asked.has_bias && asked.bias_is_constant) problem.bias = &bias;
  problem.post_ops = asked.ops;
  for (PostOp& op : problem.post_ops) {
    if (op.kind != Kind::kAdd) continue;
    op.operand = operands.size();
    op.description = problem.result;
    operands.push_back(random.random(count_of(problem.result.dims)));
  }
  const Numbers before = random.random(count_of(problem.result.dims));

  ThreadPool pool(asked.threads);
  const ThreadScope scope(&pool);
  const std::unique_ptr<Kernel> kernel = make_convolution(problem);
  std::vector<Numbers> given = operands;
  given[0] = with_gaps(operands[0], c.source[1], asked.gap);
  const Numbers result =
      without_gaps(run(*kernel, given, with_gaps(before, c.filters, asked.result_gap)), c.filters, asked.result_gap);
  const Sums sums = sums_of(c, operands[0], operands[1], operands[2]);
  // A winograd tile's rounding errors are those of all of its sums.
  const bool is_winograd = kernel->implementation().starts_with("winograd");
  const double largest = *std::ranges::max_element(sums.magnitudes);
  for (size_t i = 0; i < result.size(); ++i) {
    double expected = sums.values[i];
    for (const PostOp& op : problem.post_ops)
      expected = applied(op, expected, op.kind == Kind::kAdd ? static_cast<double>(operands[op.operand][i]) : 0,
                         static_cast<double>(before[i]));
    const double tolerance = is_winograd ? 2e-6 * largest : 4e-7 * sums.magnitudes[i] + 2e-6;
    if (std::abs(static_cast<double>(result[i]) - expected) <= tolerance * 1.5) continue;
    ADD_FAILURE() << c.text() << " " << kernel->implementation() << ": element " << i << " is " << result[i]
                  << ", expected " << expected << ", tolerance " << tolerance;
    break;
  }
  return kernel->implementation();
}

const PostOp kRelu{Kind::kRelu, 0, 0, 0, {}};
const PostOp kAdd{Kind::kAdd, 0, 0, 0, {}};
const PostOp kAddInPlace{Kind::kAddInPlace, 0, 0, 0, {}};

class OwnConvolutions : public testing::TestWithParam<SimdLevel> {
 protected:
  SimdLimit limit_{GetParam()};
};

TEST_P(OwnConvolutions, AreRightOnKnownShapes) {
  const Asked plain{{kRelu}};
  EXPECT_EQ(check(Case::simple({1, 37, 13, 11}, 29, {1, 1}), plain, 1), "product");
  EXPECT_EQ(check(Case::simple({3, 16, 9, 14}, 50, {1, 1}, 2), plain, 2), "product");
  EXPECT_EQ(check(Case::simple({1, 5, 1, 1}, 33, {1, 1}), plain, 3), "product");
  EXPECT_EQ(check(Case::simple({2, 19, 12, 17}, 23, {3, 5}, 1, 1), plain, 4), "direct");
  EXPECT_EQ(check(Case::simple({1, 3, 30, 23}, 18, {7, 7}, 2, 3), plain, 5), "direct");  // taps joined, padded
  EXPECT_EQ(check(Case::simple({1, 3, 24, 32}, 20, {4, 4}, 4, 0), plain, 6), "direct");  // taps joined
  EXPECT_EQ(check(Case::simple({1, 1, 9, 10}, 5, {3, 3}, 1, 2), plain, 7), "direct");
  EXPECT_EQ(check(Case::simple({2, 21, 1, 40}, 18, {3, 3}, 1, 1), plain, 21),
            "direct");  // two rows of taps meet nothing
  EXPECT_EQ(check(Case::simple({1, 5, 2, 2}, 9, {5, 5}, 3, 4), plain, 22), "direct");
  EXPECT_EQ(check(Case::simple({1, 4, 1, 1}, 9, {1, 1}, 3, 2), plain, 23), "product");
  const int64_t huge = int64_t{1} << 31;  // strides whose product is beyond 64 bits
  EXPECT_EQ(check({{1, 9, 1, 1, 1}, 12, {1, 1, 1}, 1, {huge, huge, 4}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}}, plain, 29),
            "product");
  EXPECT_EQ(check(Case::simple({1, 27, 10, 9}, 39, {3, 3}, 1, 1, 3), plain, 8), "direct");  // 13 filters a group
  EXPECT_EQ(check(Case::simple({2, 53, 13, 12}, 53, {3, 3}, 1, 1, 53), plain, 9), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 40, 15, 14}, 40, {5, 5}, 2, 2, 40), plain, 10), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 18, 3, 2}, 18, {5, 5}, 1, 4, 18), plain, 11), "depthwise");  // filters lie outside
  EXPECT_EQ(check(Case::simple({1, 20, 31}, 28, {5}, 1, 2), plain, 12), "direct");
  EXPECT_EQ(check(Case::simple({1, 22, 31}, 22, {7}, 1, 3, 22), plain, 13), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 56, 9, 41}, 56, {5, 5}, 1, 2, 56), plain, 24), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 39, 14, 19}, 39, {7, 7}, 1, 3, 39), plain, 25), "depthwise");
  EXPECT_EQ(check(Case::simple({2, 35, 13, 30}, 35, {3, 3}, 2, 1, 35), plain, 26), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 520, 6, 70}, 520, {5, 5}, 1, 2, 520), plain, 27), "depthwise");  // columns divided
  EXPECT_EQ(check(Case::simple({1, 1300, 7, 60}, 1300, {3, 3}, 2, 1, 1300), plain, 28), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 6, 7, 8, 9}, 21, {3, 2, 3}, 1, 1), plain, 14), "direct");
  EXPECT_EQ(check(Case::simple({1, 24, 5, 6, 7}, 24, {3, 3, 3}, 1, 1, 24), plain, 15), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 19, 23, 18}, 37, {3, 3}, 1, 1), plain, 16), "winograd 4x4");
  EXPECT_EQ(check(Case::simple({3, 16, 11, 13}, 16, {3, 3}, 1, 0), plain, 17), "direct");  // too small a result
  EXPECT_EQ(check(Case::simple({2, 32, 21, 40}, 48, {3, 3}, 1, 2), plain, 18), "winograd 4x4");
  EXPECT_EQ(check(Case::simple({1, 150, 14, 14}, 170, {3, 3}, 1, 1), plain, 19), "winograd 4x4");
  EXPECT_EQ(check(Case::simple({1, 93, 7, 7}, 70, {3, 3}, 1, 1), plain, 30), "winograd 2x2");
  EXPECT_EQ(check(Case::simple({1, 88, 8, 5}, 131, {3, 3}, 1, 2), plain, 31), "winograd 2x2");
  EXPECT_EQ(check(Case::simple({150, 64, 4, 4}, 64, {3, 3}), plain, 34), "winograd 2x2");      // blocks of images
  EXPECT_EQ(check(Case::simple({9, 40, 7, 7}, 45, {3, 3}, 1, 1), plain, 32), "winograd 4x4");  // tiles of all images
  EXPECT_EQ(check(Case::simple({1, 256, 4, 4}, 256, {3, 3}, 1, 1), plain, 33), "direct");      // weights are most of it
  EXPECT_EQ(check(Case::simple({1, 19, 23, 18}, 37, {3, 3}, 1, 1), {{kRelu}, true, true, true}, 20), "direct");
}

/// Groups of few filters: whole vectors and halves, in lines of taps that all lie in the source and in others.
TEST_P(OwnConvolutions, AreRightInNarrowGroups) {
  unsigned seed = 200;
  for (const int threads : {1, 3}) {
    const Asked asked{{kAdd, {Kind::kHardSwish, 0, 0, 0, {}}}, true, true, false, threads};
    const auto expect_grouped = [&](const Case& c) {
      EXPECT_EQ(check(c, asked, ++seed), "grouped") << c.text();
      EXPECT_EQ(check(c, {{kRelu}, false, true, false, threads}, ++seed), "grouped") << c.text();
    };
    for (const int64_t filters : {4, 8, 12, 16, 28, 32})
      for (const int64_t stride : {1, 2})
        expect_grouped(Case::simple({2, 5 * 7, 11, 27}, 5 * filters, {3, 3}, stride, 1, 5));
    expect_grouped(Case::simple({1, 104, 28, 28}, 104, {3, 3}, 1, 1, 13));
    expect_grouped(Case::simple({1, 32, 14, 13}, 32, {5, 5}, 1, 2, 8));
    expect_grouped(Case::simple({1, 6, 13, 12}, 24, {3, 3}, 1, 1, 6));  // four filters for each channel
    expect_grouped(Case::simple({1, 12, 9, 10}, 16, {1, 1}, 1, 0, 4));
    expect_grouped(Case::simple({1, 15, 41}, 24, {3}, 2, 1, 3));
    expect_grouped(Case::simple({1, 9, 5, 6, 19}, 24, {3, 3, 3}, 1, 1, 3));
    expect_grouped(Case::simple({1, 16, 3, 2}, 16, {3, 3}, 1, 2, 2));  // filters lie outside
    expect_grouped({{1, 12, 17, 20}, 16, {3, 3}, 4, {1, 3}, {2, 2}, {2, 1}, {0, 3}});
    expect_grouped({{1, 12, 17, 20}, 16, {4, 3}, 2, {3, 1}, {2, 1}, {2, 1}, {0, 3}});
    // Panels are faster.
    const auto expect_direct = [&](const Case& c) { EXPECT_EQ(check(c, asked, ++seed), "direct") << c.text(); };
    expect_direct(Case::simple({1, 32, 14, 13}, 32, {5, 5}, 1, 2, 2));
    expect_direct(Case::simple({1, 32, 14, 13}, 32, {3, 3}, 3, 1, 2));
    expect_direct({{1, 32, 14, 13}, 32, {3, 3}, 2, {1, 1}, {1, 2}, {1, 2}, {1, 2}});
    expect_direct(Case::simple({1, 18, 14, 13}, 72, {3, 3}, 1, 1, 2));
    expect_direct(Case::simple({1, 256, 9, 8}, 32, {3, 3}, 1, 1, 2));
  }
}

TEST_P(OwnConvolutions, GivePixelsThatAreApart) {
  for (const int threads : {1, 3}) {
    Asked apart{{{Kind::kHardSwish, 0, 0, 0, {}}}, true, true, false, threads};
    apart.result_gap = 16;
    EXPECT_EQ(check(Case::simple({2, 37, 13, 11}, 128, {1, 1}), apart, 51), "product");
    EXPECT_EQ(check(Case::simple({1, 16, 31, 29}, 29, {1, 1}, 2), apart, 52), "product");
    EXPECT_EQ(check(Case::simple({1, 19, 32, 27}, 23, {3, 3}, 1, 1), apart, 53), "direct");  // no winograd
    apart.gap = 16;
    apart.ops = {{Kind::kSwish, 1, 0, 0, {}}};
    EXPECT_EQ(check(Case::simple({2, 128, 13, 12}, 128, {5, 5}, 1, 2, 128), apart, 54), "depthwise");
    EXPECT_EQ(check(Case::simple({1, 256, 9, 21}, 256, {3, 3}, 2, 1, 256), apart, 55), "depthwise");
    EXPECT_EQ(check(Case::simple({1, 128, 5, 6, 7}, 128, {3, 3, 3}, 1, 1, 128), apart, 56), "depthwise");
  }
}

/// Whole vectors, halves, and what is left of them, of many rows and of few.
TEST_P(OwnConvolutions, AreRightForAnyNumberOfFilters) {
  for (const int64_t filters : {8, 9, 16, 20, 24, 25, 40, 48, 56, 61, 104})
    for (const int64_t width : {1, 7, 11}) {
      const Case c = Case::simple({1, 33, 7, width}, filters, {1, 1});
      EXPECT_EQ(check(c, {{kAdd, kRelu}}, static_cast<unsigned>(filters * width)), "product") << c.text();
    }
}

TEST_P(OwnConvolutions, DivideGroupsAmongThreads) {
  for (const int threads : {1, 2, 5}) {
    const Asked asked{{kAdd, kRelu, {Kind::kSigmoid, 0, 0, 0, {}}}, true, true, false, threads};
    EXPECT_EQ(check(Case::simple({2, 104, 10, 9}, 104, {3, 3}, 1, 1, 13), asked, 31), "grouped");
    // Few lines: the groups are divided, the last part has fewer.
    EXPECT_EQ(check(Case::simple({1, 128, 6, 40}, 128, {3, 3}, 1, 1, 32), asked, 34), "grouped");
    EXPECT_EQ(check(Case::simple({1, 52, 6, 40}, 52, {3, 3}, 1, 1, 13), asked, 35), "grouped");
    EXPECT_EQ(check(Case::simple({1, 1024, 6, 20}, 8, {3, 3}, 1, 1, 2), asked, 36), "grouped");
    EXPECT_EQ(check(Case::simple({1, 48, 31, 30}, 240, {3, 3}, 2, 1, 6), asked, 32), "direct");
    EXPECT_EQ(check(Case::simple({1, 128, 3, 3}, 500, {3, 3}, 1, 1, 2), asked, 33), "direct");  // parts of a group
  }
}

TEST_P(OwnConvolutions, TakeSomeOfTheChannels) {
  Asked apart{{kRelu}};
  apart.gap = 5;
  EXPECT_EQ(check(Case::simple({2, 37, 13, 11}, 29, {1, 1}), apart, 31), "product");
  EXPECT_EQ(check(Case::simple({3, 5, 1, 1}, 33, {1, 1}), apart, 32), "product");
  EXPECT_EQ(check(Case::simple({2, 19, 12, 17}, 23, {3, 5}, 2, 1), apart, 33), "direct");
  EXPECT_EQ(check(Case::simple({1, 3, 30, 23}, 18, {7, 7}, 2, 3), apart, 34), "direct");
  EXPECT_EQ(check(Case::simple({1, 24, 10, 9}, 36, {3, 3}, 1, 1, 3), apart, 35), "grouped");
  EXPECT_EQ(check(Case::simple({2, 53, 13, 12}, 53, {3, 3}, 1, 1, 53), apart, 36), "depthwise");
  EXPECT_EQ(check(Case::simple({2, 20, 31}, 20, {5}, 2, 2, 20), apart, 37), "depthwise");
  EXPECT_EQ(check(Case::simple({1, 6, 7, 8, 9}, 21, {3, 2, 3}, 1, 1), apart, 38), "direct");
  EXPECT_EQ(check(Case::simple({2, 32, 21, 40}, 48, {3, 3}, 1, 2), apart, 39), "winograd 4x4");
  // What no kernel of ours does.
  apart.has_bias = apart.bias_is_constant = false;
  EXPECT_EQ(check(Case::simple({2, 12, 9, 7}, 12, {3, 3}, 1, 1, 4), apart, 41).find("direct"), std::string::npos);
  apart.has_bias = true;
  check(Case::simple({2, 12, 5, 6, 7}, 12, {3, 2, 3}, 1, 1, 4), apart, 42);
  apart.ops = {kRelu, kAddInPlace};
  const std::string other = check(Case::simple({2, 12, 9, 7}, 27, {1, 1}), apart, 40);
  EXPECT_NE(other, "product");
}

/// Planes of the result that lie in the padding of a volume have the bias alone.
TEST_P(OwnConvolutions, MeetNothingInThePaddingOfAVolume) {
  const Asked plain{{kRelu}};
  for (const int64_t taps : {3, 5})
    EXPECT_EQ(check(Case::simple({2, 24, 4, 9, 10}, 24, {1, taps, taps}, 1, 1, 24), plain, 51), "depthwise");
  EXPECT_EQ(check({{1, 24, 3, 9, 10}, 24, {1, 3, 3}, 24, {2, 1, 1}, {1, 1, 1}, {0, 1, 1}, {2, 1, 1}}, plain, 52),
            "depthwise");
  EXPECT_EQ(check(Case{{1, 24, 3, 9, 10}, 24, {1, 3, 3}, 24, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}}, plain, 53),
            "depthwise");
}

TEST_P(OwnConvolutions, DoWhatComesBehind) {
  const std::vector<PostOps> all{{},
                                 {kRelu},
                                 {{Kind::kClip, -0.5f, 0.75f, 0, {}}},
                                 {{Kind::kRelu, 0.25f, 0, 0, {}}},
                                 {kAdd},
                                 {kAdd, kRelu},
                                 {kAddInPlace, kRelu},
                                 {kRelu, kAdd},
                                 {kRelu, kAddInPlace},  // which no kernel of ours does
                                 {kAdd, kRelu, kAdd},
                                 {{Kind::kSigmoid}},
                                 {kAdd, {Kind::kTanh}},
                                 {{Kind::kElu, 0.5f, 0, 0, {}}},
                                 {{Kind::kHardSwish}},
                                 {kAddInPlace, {Kind::kSwish, 1, 0, 0, {}}},
                                 {{Kind::kGeluErf}},
                                 {{Kind::kGeluTanh}, kAdd},
                                 {{Kind::kLinear, 0.25f, 0.5f, 0, {}}, {Kind::kClip, 0, 1, 0, {}}}};
  unsigned seed = 100;
  for (const PostOps& ops : all)
    for (const bool bias_is_constant : {true, false})
      for (const Case& c :
           {Case::simple({1, 12, 9, 7}, 27, {1, 1}), Case::simple({1, 21, 8, 9}, 21, {3, 3}, 1, 1, 21),
            Case::simple({1, 15, 8, 9}, 20, {3, 3}, 1, 1, 5), Case::simple({1, 17, 14, 11}, 19, {3, 3}, 1, 1)}) {
        SCOPED_TRACE(ops.size());
        const std::string made = check(c, {ops, true, bias_is_constant}, ++seed);
        const bool is_own =
            made == "product" || made == "depthwise" || made == "grouped" || made.starts_with("winograd");
        EXPECT_EQ(is_own, !(ops.size() == 2 && ops[1].kind == Kind::kAddInPlace)) << made;
        check(c, {ops, false}, ++seed);
      }
}

TEST_P(OwnConvolutions, AreRightOnRandomShapes) {
  Operands random(7);
  std::map<std::string, int> made;
  for (unsigned round = 0; round < 150; ++round) {
    Case c;
    const auto rank = static_cast<size_t>(1 + random.below(5) % 3);
    c.groups = random.below(4) == 0 ? 1 + random.below(4) : 1;
    c.source = {1 + random.below(3), c.groups * (1 + random.below(40))};
    c.filters = c.groups * (1 + random.below(40));
    if (random.below(4) == 0) c.groups = c.filters = c.source[1];
    const bool is_plain = random.below(2) == 0;
    for (size_t i = 0; i < rank; ++i) {
      c.source.push_back(1 + random.below(rank == 1 ? 90 : rank == 2 ? 24 : 8));
      c.kernel.push_back(is_plain ? 3 : 1 + random.below(5));
      c.strides.push_back(is_plain ? 1 : 1 + random.below(3));
      c.dilations.push_back(is_plain ? 1 : 1 + random.below(2));
      c.pads_begin.push_back(random.below(4));
      c.pads_end.push_back(random.below(4));
      const int64_t extent = (c.kernel[i] - 1) * c.dilations[i] + 1;
      c.source.back() = std::max(c.source.back(), extent - c.pads_begin[i] - c.pads_end[i]);
    }
    Asked asked{{kRelu}, random.below(2) == 0, random.below(2) == 0, false, static_cast<int>(1 + random.below(3))};
    if (random.below(2) == 0) asked.ops.insert(asked.ops.begin(), random.below(2) == 0 ? kAdd : kAddInPlace);
    asked.gap = random.below(3) == 0 ? random.below(20) : 0;
    const std::string implementation = check(c, asked, 1000 + round);
    ++made[implementation.substr(0, implementation.find(' '))];
    if (HasFailure()) return;
  }
  for (const char* own : {"product", "direct", "depthwise", "grouped", "winograd"}) EXPECT_GT(made[own], 0) << own;
}

TEST_P(OwnConvolutions, KeepNanWhereExactnessIsAsked) {
  const Case c = Case::simple({1, 16, 12, 12}, 16, {3, 3}, 1, 1);
  ConvolutionProblem problem;
  problem.strides = problem.dilations = problem.pads_begin = problem.pads_end = {1, 1};
  problem.source = problem.result = channels_last(DataType::kFloat32, c.source);
  problem.weight_dims = {16, 16, 3, 3};
  problem.post_ops = {kRelu};
  problem.exact = true;
  Operands random(3);
  Numbers source = random.random(count_of(c.source));
  source[(5 * 12 + 6) * 16 + 2] = std::numeric_limits<float>::quiet_NaN();  // row 5, column 6
  const Tensor weight = Tensor::copy<float>(problem.weight_dims, random.random(16 * 16 * 9));
  problem.weight = &weight;
  const auto kernel = make_convolution(problem);
  const Numbers result = run(*kernel, std::vector<Numbers>{source}, Numbers(source.size()));
  for (int64_t y = 0; y < 12; ++y)
    for (int64_t x = 0; x < 12; ++x)
      for (int64_t filter = 0; filter < 16; ++filter) {
        const bool reads = std::abs(y - 5) <= 1 && std::abs(x - 6) <= 1;
        EXPECT_EQ(std::isnan(result[static_cast<size_t>((y * 12 + x) * 16 + filter)]), reads) << y << " " << x;
      }
}

TEST_P(OwnConvolutions, MultiplyMatricesWithKnownWeights) {
  Operands random(11);
  struct Product {
    int64_t rows, depth, columns;
    bool is_transposed = false, adds = false;
  };
  for (const Product& p : {Product{1, 300, 1000}, Product{5, 33, 17, true}, Product{70, 65, 83, false, true},
                           Product{301, 16, 40, true, true}, Product{13, 1, 1}}) {
    MatMulProblem problem;
    problem.a = plain(DataType::kFloat32, {p.rows, p.depth});
    problem.b = plain(DataType::kFloat32, {p.depth, p.columns});
    problem.result = plain(DataType::kFloat32, {p.rows, p.columns});
    if (p.is_transposed) problem.b.strides = {1, p.depth};
    std::vector<Numbers> operands{random.random(p.rows * p.depth), random.random(p.depth * p.columns),
                                  random.random(p.columns)};
    const Tensor b = Tensor::copy<float>({p.depth, p.columns}, operands[1]);
    problem.b_constant = &b;
    problem.has_bias = true;
    if (p.adds) {
      problem.post_ops.push_back({Kind::kAdd, 0, 0, 3, problem.result});
      operands.push_back(random.random(p.rows * p.columns));
    }
    const auto kernel = make_matmul(problem);
    EXPECT_EQ(kernel->implementation(), "product");
    const Numbers result = run(*kernel, operands, Numbers(static_cast<size_t>(p.rows * p.columns)));
    for (int64_t i = 0; i < p.rows; ++i)
      for (int64_t j = 0; j < p.columns; ++j) {
        const auto place = static_cast<size_t>(i * p.columns + j);
        double sum = static_cast<double>(operands[2][static_cast<size_t>(j)]);
        if (p.adds) sum += static_cast<double>(operands[3][place]);
        for (int64_t k = 0; k < p.depth; ++k)
          sum += static_cast<double>(operands[0][static_cast<size_t>(i * p.depth + k)]) *
                 static_cast<double>(
                     operands[1][static_cast<size_t>(p.is_transposed ? j * p.depth + k : k * p.columns + j)]);
        ASSERT_NEAR(static_cast<double>(result[place]), sum, 1e-4) << p.rows << " " << i << " " << j;
      }
  }
}

TEST_P(OwnConvolutions, MultiplyMatricesThatBothComeWithTheCall) {
  struct Product {
    Shape batch_of_a, batch_of_b;
    int64_t rows, depth, columns;
    int threads = 1;
  };
  Operands random(12);
  for (const Product& p :
       {Product{{}, {}, 70, 65, 83}, Product{{3, 4}, {3, 4}, 33, 15, 40, 2}, Product{{5}, {1}, 32, 9, 8},
        Product{{1, 2}, {3, 2}, 241, 3, 50, 3}, Product{{2, 1}, {1, 3}, 50, 64, 129, 2}})
    for (const bool a_is_transposed : {false, true})
      for (const bool b_is_transposed : {false, true})
        for (const bool has_bias : {false, true}) {
          const auto shape_of = [](Shape batch, int64_t rows, int64_t columns) {
            batch.insert(batch.end(), {rows, columns});
            return batch;
          };
          const auto desc_of = [](const Shape& shape, bool is_transposed) {
            TensorDesc desc = plain(DataType::kFloat32, shape);
            if (!is_transposed) return desc;
            *(desc.strides.end() - 2) = 1;
            desc.strides.back() = *(shape.end() - 2);
            return desc;
          };
          Shape batch = p.batch_of_a;
          for (size_t i = 0; i < batch.size(); ++i) batch[i] = std::max(batch[i], p.batch_of_b[i]);
          MatMulProblem problem;
          problem.a = desc_of(shape_of(p.batch_of_a, p.rows, p.depth), a_is_transposed);
          problem.b = desc_of(shape_of(p.batch_of_b, p.depth, p.columns), b_is_transposed);
          problem.result = plain(DataType::kFloat32, shape_of(batch, p.rows, p.columns));
          problem.has_bias = has_bias;
          problem.scale = 0.75f;
          problem.post_ops = {{Kind::kAdd, 0, 0, 3, problem.result}, {Kind::kTanh}};
          const std::vector<Numbers> operands{random.random(problem.a.size()), random.random(problem.b.size()),
                                              random.random(p.columns), random.random(problem.result.size())};
          ThreadPool pool(p.threads);
          const ThreadScope scope(&pool);
          const auto kernel = make_matmul(problem);
          EXPECT_EQ(kernel->implementation(), "product");
          const Numbers result = run(*kernel, operands, Numbers(operands[3].size()));
          for_each_place(problem.result.dims, [&](const Shape& at, int64_t place) {
            const size_t rank = at.size();
            double sum = 0;
            Shape in_a = at, in_b = at;
            for (size_t i = 0; i + 2 < rank; ++i) {
              in_a[i] %= problem.a.dims[i];
              in_b[i] %= problem.b.dims[i];
            }
            for (int64_t k = 0; k < p.depth; ++k) {
              in_a[rank - 1] = in_b[rank - 2] = k;
              sum += static_cast<double>(operands[0][static_cast<size_t>(offset_of(problem.a, in_a))]) *
                     static_cast<double>(operands[1][static_cast<size_t>(offset_of(problem.b, in_b))]);
            }
            const auto i = static_cast<size_t>(place);
            const double bias = has_bias ? static_cast<double>(operands[2][static_cast<size_t>(at.back())]) : 0;
            const double expected = std::tanh(0.75 * (sum + bias) + static_cast<double>(operands[3][i]));
            ASSERT_NEAR(static_cast<double>(result[i]), expected, 2e-5) << to_string(at);
          });
          if (HasFailure()) return;
        }
}

INSTANTIATE_TEST_SUITE_P(All, OwnConvolutions, testing::ValuesIn(kSimdLevels), level_name);

}  // namespace
}  // namespace pli::compute
