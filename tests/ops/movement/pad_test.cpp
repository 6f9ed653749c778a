#include "runtime/ops/movement/pad.h"

#include "tests/ops/movement_case.h"

namespace pli::test {
namespace {

using ir::Dims;

/// The index that a mode reads for one outside of [0, dim); -1 for the constant.
int64_t source(const std::string& mode, int64_t index, int64_t dim) {
  if (mode == "constant") return index < 0 || index >= dim ? -1 : index;
  if (mode == "edge") return std::clamp<int64_t>(index, 0, dim - 1);
  while (index < 0 || index >= dim) {
    if (mode == "wrap")
      index += index < 0 ? dim : -dim;
    else
      index = index < 0 ? -index : 2 * (dim - 1) - index;
  }
  return index;
}

TEST(Pad, PadsInEveryModeAndLayout) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 1);
  const std::vector<int64_t> begin{0, 1, 3, 2}, end{1, 0, 2, 9};
  std::vector<int64_t> pads = begin;
  pads.insert(pads.end(), end.begin(), end.end());
  for (const std::string mode : {"constant", "edge", "reflect", "wrap"}) {
    NodeCase node{"Pad", 19, {input, int64s(pads)}, {attribute("mode", mode.c_str())}};
    if (mode == "constant") node.inputs.emplace_back(tensor<float>({}, {2.5f}));
    expect_output(node, {3, 4, 9, 16}, [&](const Shape& index) {
      Shape from(4);
      for (size_t d = 0; d < 4; ++d) from[d] = source(mode, index[d] - begin[d], input.shape()[d]);
      return std::ranges::find(from, -1) != from.end() ? 2.5 : at(input, from);
    });
  }
}

TEST(Pad, TakesAwayWhereNegative) {
  const Tensor input = random_tensor({3, 6}, 2);
  expect_output({"Pad", 13, {input, int64s({-1, 2, 0, -3})}}, {2, 5}, [&](const Shape& i) {
    return i[1] < 2 ? 0.0 : at(input, {i[0] + 1, i[1] - 2});
  });
  EXPECT_EQ(run({"Pad", 13, {input, int64s({-1, -6, -2, 0})}}).at(0).size(), 0u);
}

TEST(Pad, TakesEveryVersionsForm) {
  const Tensor input = random_tensor({2, 3}, 3);
  const auto padded = [&](double fill) {
    return [&, fill](const Shape& i) { return i[1] == 0 || i[1] == 4 ? fill : at(input, {i[0], i[1] - 1}); };
  };
  expect_output({"Pad", 2, {input}, {ints("pads", {0, 1, 0, 1}), attribute("value", -3.0f)}}, {2, 5}, padded(-3));
  expect_output({"Pad", 11, {input, int64s({0, 1, 0, 1})}}, {2, 5}, padded(0));
  expect_output({"Pad", 18, {input, int64s({1, 1}), {}, int64s({-1})}}, {2, 5}, padded(0));
  expect_output({"Pad", 18, {input, int64s({1, 1}), tensor<float>({1}, {7}), tensor<int32_t>({1}, {1})}}, {2, 5},
                padded(7));
  const Tensor half = from_doubles(DataType::kFloat16, {1}, std::vector{1.5});
  EXPECT_EQ(numbers(run({"Pad", 6, {half}, {ints("pads", {1, 0}), attribute("value", 0.25f)}}).at(0)),
            (std::vector<double>{0.25, 1.5}));
  EXPECT_EQ(to_int64s(run({"Pad", 13, {int64s({4}), int64s({1, 1}), int64s({-9})}}).at(0)),
            (std::vector<int64_t>{-9, 4, -9}));
}

TEST(Pad, ReadsItsValueWhenItRuns) {
  const Tensor result =
      run_unknown({"Pad", 13, {tensor<float>({1}, {1}), int64s({1, 0}), tensor<float>({}, {5})}}).at(0);
  EXPECT_EQ(numbers(result), (std::vector<double>{5, 1}));
}

TEST(Pad, ByNothingIsAView) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 4);
  const NodeCase node{"Pad", 13, {input, int64s({0, 0, 0, 0, 0, 0, 0, 0})}};
  const auto result = run_laid_out(node, arriving(node, compute::channels_last_strides(input.shape())));
  EXPECT_TRUE(result.is_view);
  EXPECT_TRUE(identical(result.outputs.at(0), input));
}

TEST(Pad, InfersAndRefuses) {
  EXPECT_EQ(infer("Pad", 13, {f32(Dims{"N"s, 3}), {}}, {}, {{}, int64s({0, 1, 0, 2})}).at(0).dims, (Dims{"N"s, 6}));
  EXPECT_FALSE(infer("Pad", 13, {f32(Dims{"N"s, 3}), {}}, {}, {{}, int64s({1, 1, 0, 2})}).at(0).dims->at(0).known());
  EXPECT_EQ(infer("Pad", 13, {f32(Dims{2, 3}), int64_type(Dims{4})}).at(0).rank(), 2);
  EXPECT_FALSE(infer("Pad", 13, {f32(std::nullopt), int64_type(Dims{4})}).at(0).has_rank());
  const Tensor input = random_tensor({2, 3}, 5);
  const auto refused = [&](std::vector<int64_t> pads, const char* mode = "constant") {
    return refusal({"Pad", 13, {input, int64s(pads)}, {attribute("mode", mode)}});
  };
  EXPECT_EQ(refused({1, 1}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0, -2, 0, -2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0, 1, 0, 1}, "mirror"), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0, 1, 0, 1}, "wrap"), ErrorCode::kInvalidModel);  // since opset 19
  EXPECT_EQ(refused({0, INT64_MAX, 0, 1}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0, INT64_MIN, 0, INT64_MAX}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0, int64_t{1} << 40, 0, 1}), ErrorCode::kResourceLimit);
  EXPECT_EQ(refusal({"Pad", 13, {random_tensor({0}, 1), int64s({1, 0})}, {attribute("mode", "edge")}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Pad", 13, {input, int64s({0, 1, 0, 1}), int64s({1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Pad", 13, {input, int64s({0, 1, 0, 1}), tensor<float>({2}, {1, 2})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Pad", 18, {input, int64s({1, 1}), {}, int64s({2})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Pad", 18, {input, int64s({1, 1, 1, 1}), {}, int64s({1, -1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Pad", 6, {input}}), ErrorCode::kInvalidModel);
}

TEST(Pad, OfOpset1CallsThemPaddings) {
  const Tensor input = random_tensor({2, 3}, 9);
  expect_output({"Pad", 1, {input}, {ints("paddings", {0, 2, 0, 1}), attribute("value", 5.0f)}}, {2, 6},
                [&](const Shape& i) {
                  return i[1] < 2 || i[1] == 5 ? 5.0 : at(input, {i[0], i[1] - 2});
                });
  EXPECT_EQ(refusal({"Pad", 1, {input}, {ints("pads", {0, 2, 0, 1})}}), ErrorCode::kInvalidModel);
}

// --- DepthToSpace, SpaceToDepth, Trilu, ReverseSequence --------------------------------------------------------------

TEST(DepthToSpace, MovesBlocksInBothModesAndEveryLayout) {
  const Tensor input = random_tensor({2, 12, 3, 5}, 10);
  expect_output({"DepthToSpace", 1, {input}, {attribute("blocksize", 2)}}, {2, 3, 6, 10}, [&](const Shape& i) {
    return at(input, {i[0], (i[2] % 2 * 2 + i[3] % 2) * 3 + i[1], i[2] / 2, i[3] / 2});
  });
  expect_output({"DepthToSpace", 13, {input}, {attribute("blocksize", 2), attribute("mode", "CRD")}}, {2, 3, 6, 10},
                [&](const Shape& i) {
                  return at(input, {i[0], i[1] * 4 + i[2] % 2 * 2 + i[3] % 2, i[2] / 2, i[3] / 2});
                });
}

TEST(SpaceToDepth, MovesBlocksInEveryLayout) {
  const Tensor input = random_tensor({2, 3, 6, 8}, 11);
  expect_output({"SpaceToDepth", 13, {input}, {attribute("blocksize", 2)}}, {2, 12, 3, 4}, [&](const Shape& i) {
    const int64_t block = i[1] / 3;
    return at(input, {i[0], i[1] % 3, i[2] * 2 + block / 2, i[3] * 2 + block % 2});
  });
}

TEST(SpaceToDepth, HasModesSinceOpset28) {
  const Tensor input = random_tensor({2, 3, 6, 8}, 14);
  const auto node = [&](int64_t opset) {
    return NodeCase{"SpaceToDepth", opset, {input}, {attribute("blocksize", 2), attribute("mode", "CRD")}};
  };
  expect_output(node(28), {2, 12, 3, 4}, [&](const Shape& i) {
    return at(input, {i[0], i[1] / 4, i[2] * 2 + i[1] % 4 / 2, i[3] * 2 + i[1] % 2});
  });
  EXPECT_TRUE(identical(run(node(27))[0], run({"SpaceToDepth", 27, {input}, {attribute("blocksize", 2)}})[0]));
  EXPECT_EQ(refusal({"SpaceToDepth", 28, {input}, {attribute("blocksize", 2), attribute("mode", "RCD")}}),
            ErrorCode::kInvalidModel);
}

TEST(DepthToSpace, InfersAndRefuses) {
  EXPECT_EQ(infer("DepthToSpace", 13, {f32(Dims{"N"s, 8, 3, {}})}, {attribute("blocksize", 2)}).at(0).dims->at(1),
            ir::Dim(2));
  EXPECT_EQ(infer("SpaceToDepth", 13, {f32(Dims{"N"s, 8, 4, {}})}, {attribute("blocksize", 2)}).at(0).dims->at(2),
            ir::Dim(2));
  EXPECT_EQ(infer("DepthToSpace", 13, {f32(std::nullopt)}, {attribute("blocksize", 2)}).at(0).rank(), 4);
  const Tensor input = random_tensor({1, 6, 3, 5}, 12);
  for (const int64_t size : {int64_t{2}, int64_t{0}, int64_t{-1}, INT64_MAX}) {
    EXPECT_EQ(refusal({"DepthToSpace", 13, {input}, {attribute("blocksize", size)}}), ErrorCode::kInvalidModel);
    EXPECT_EQ(refusal({"SpaceToDepth", 13, {input}, {attribute("blocksize", size)}}), ErrorCode::kInvalidModel);
  }
  EXPECT_EQ(refusal({"DepthToSpace", 13, {random_tensor({4, 2, 2}, 1)}, {attribute("blocksize", 2)}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"DepthToSpace", 13, {input}, {attribute("blocksize", 1), attribute("mode", "RCD")}}),
            ErrorCode::kInvalidModel);
}

TEST(Trilu, KeepsOneSideOfADiagonal) {
  const Tensor input = random_tensor({2, 4, 6}, 13);
  for (const int64_t k : {int64_t{0}, int64_t{2}, int64_t{-1}, int64_t{9}, INT64_MIN, INT64_MAX})
    for (const int64_t upper : {0, 1}) {
      const NodeCase node{"Trilu", 14, {input, tensor<int64_t>({}, {k})}, {attribute("upper", upper)}};
      const double diagonal = static_cast<double>(k);
      expect_output(node, {2, 4, 6}, [&](const Shape& i) {
        const auto distance = static_cast<double>(i[2] - i[1]);
        return (upper ? distance >= diagonal : distance <= diagonal) ? at(input, i) : 0.0;
      });
    }
  expect_output({"Trilu", 14, {input}}, {2, 4, 6}, [&](const Shape& i) { return i[2] >= i[1] ? at(input, i) : 0.0; });
  EXPECT_EQ(run({"Trilu", 14, {random_tensor({3, 0}, 1)}}).at(0).size(), 0u);
  EXPECT_EQ(refusal({"Trilu", 14, {random_tensor({3}, 1)}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Trilu", 14, {input, int64s({1, 2})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Trilu", 14, {input, random_tensor({1}, 1)}}), ErrorCode::kInvalidModel);
}

TEST(ReverseSequence, ReversesTheStartOfEachSequence) {
  const Tensor input = random_tensor({4, 3, 2}, 14);
  const Tensor lengths = int64s({4, 0, 3});
  expect_output({"ReverseSequence", 10, {input, lengths}}, {4, 3, 2}, [&](const Shape& i) {
    const int64_t length = lengths.data<int64_t>()[static_cast<size_t>(i[1])];
    return at(input, {i[0] < length ? length - 1 - i[0] : i[0], i[1], i[2]});
  });
  expect_output(
      {"ReverseSequence", 10, {input, int64s({1, 3, 2, 0})}, {attribute("batch_axis", 0), attribute("time_axis", 1)}},
      {4, 3, 2}, [&](const Shape& i) {
        const int64_t length = std::vector<int64_t>{1, 3, 2, 0}[static_cast<size_t>(i[0])];
        return at(input, {i[0], i[1] < length ? length - 1 - i[1] : i[1], i[2]});
      });
  EXPECT_EQ(refusal({"ReverseSequence", 10, {input, int64s({5, 0, 0})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ReverseSequence", 10, {input, int64s({-1, 0, 0})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] {
              run_unknown({"ReverseSequence", 10, {input, int64s({5, 0, 0})}});
            }).code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal({"ReverseSequence", 10, {input, int64s({1, 1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ReverseSequence",
                     10,
                     {input, lengths},
                     {attribute("batch_axis", INT64_MAX), attribute("time_axis", INT64_MAX)}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ReverseSequence", 10, {input, lengths}, {attribute("batch_axis", 0)}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ReverseSequence", 10, {int64s({1, 2}), int64s({1})}}), ErrorCode::kInvalidModel);
}

}  // namespace
}  // namespace pli::test
