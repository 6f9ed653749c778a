#include "runtime/ops/movement/movement.h"

#include "tests/ops/movement_case.h"

namespace pli::test {
namespace {

using compute::channels_last;
using compute::TensorDesc;
using ir::Dims;

// --- Transpose -------------------------------------------------------------------------------------------------------

TEST(Transpose, PermutesInEveryLayout) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 1);
  const std::vector<std::vector<int64_t>> permutations{{0, 2, 3, 1}, {3, 1, 0, 2}, {0, 1, 2, 3}, {1, 0, 3, 2}};
  for (const auto& p : permutations) {
    Shape shape;
    for (const int64_t axis : p) shape.push_back(shape_of(input)[static_cast<size_t>(axis)]);
    expect_output({"Transpose", 13, {input}, {ints("perm", p)}}, shape, [&](const Shape& index) {
      Shape source(4);
      for (size_t i = 0; i < 4; ++i) source[static_cast<size_t>(p[i])] = index[i];
      return at(input, source);
    });
  }
  expect_output({"Transpose", 1, {input}}, {5, 4, 3, 2}, [&](const Shape& i) {
    return at(input, {i[3], i[2], i[1], i[0]});
  });
}

TEST(Transpose, IsAView) {
  const NodeCase node{"Transpose", 13, {random_tensor({2, 3, 4, 5}, 2)}, {ints("perm", {0, 2, 3, 1})}};
  const auto result = run_laid_out(node, {channels_last(DataType::kFloat32, {2, 3, 4, 5})});
  EXPECT_TRUE(result.is_view);
  EXPECT_TRUE(compute::is_plain(result.layouts.at(0)));
}

TEST(Transpose, InfersAndRefuses) {
  EXPECT_EQ(infer("Transpose", 13, {f32(Dims{"N"s, 3, "H"s})}, {ints("perm", {2, 0, 1})}).at(0).dims,
            (Dims{"H"s, "N"s, 3}));
  EXPECT_FALSE(infer("Transpose", 13, {f32(std::nullopt)}).at(0).has_rank());
  for (const auto& p : std::vector<std::vector<int64_t>>{{0, 1}, {0, 1, 1}, {0, 1, 3}, {-1, 0, 1}, {0, 1, 2, 3}})
    EXPECT_EQ(refusal({"Transpose", 13, {random_tensor({2, 3, 4}, 1)}, {ints("perm", p)}}), ErrorCode::kInvalidModel);
}

// --- Concat ----------------------------------------------------------------------------------------------------------

TEST(Concat, JoinsAlongEveryAxisInEveryLayout) {
  for (const int64_t axis : {0, 1, 2, -1}) {
    const auto d = static_cast<size_t>(axis < 0 ? axis + 4 : axis);
    std::vector<Tensor> parts;
    NodeCase node{"Concat", 13, {}, {attribute("axis", axis)}};
    Shape whole{2, 3, 4, 5};
    whole[d] = 0;
    for (const int64_t size : {3, 1, 0, 4}) {
      Shape shape{2, 3, 4, 5};
      shape[d] = size;
      whole[d] += size;
      parts.push_back(random_tensor(shape, static_cast<uint32_t>(10 + size)));
      node.inputs.emplace_back(parts.back());
    }
    expect_output(node, whole, [&](Shape index) {
      size_t part = 0;
      while (index[d] >= parts[part].shape()[d]) index[d] -= parts[part++].shape()[d];
      return at(parts[part], index);
    });
  }
}

TEST(Concat, StaysChannelsLastAndTakesSlices) {
  const Tensor half = random_tensor({2, 3, 4, 5}, 20), other = random_tensor({2, 6, 4, 5}, 21);
  const NodeCase node{"Concat", 13, {half, other}, {attribute("axis", 1)}};
  const TensorDesc slice{DataType::kFloat32, {2, 3, 4, 5}, channels_last(DataType::kFloat32, {2, 7, 4, 5}).strides};
  const auto result = run_laid_out(node, {slice, channels_last(DataType::kFloat32, {2, 6, 4, 5})});
  EXPECT_TRUE(compute::is_channels_last(result.layouts.at(0)));
  EXPECT_TRUE(identical(result.outputs.at(0), run(node).at(0)));
  const auto rows = run_laid_out(node, arriving(node, compute::plain_strides(half.shape())));
  EXPECT_TRUE(compute::is_plain(rows.layouts.at(0)));
}

/// What is stacked along an axis of 1, in whatever way the parts lie, and read by a Reshape.
TEST(Concat, LaysShuffledChannelsOutAsNeighbours) {
  for (const bool is_merged : {true, false})
    for (const size_t count : {2, 3, 4, 5}) {
      const auto parts = static_cast<int64_t>(count);
      ir::Graph graph(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 17}}));
      ir::NodeSpec join{.op_type = "Concat", .outputs = {{"joined", {}, {}}}, .attributes = {attribute("axis", 2)}};
      for (size_t i = 0; i < count; ++i)
        join.inputs.push_back(
            graph.add_input(graph.unique_name("x"), ir::Type::tensor(DataType::kFloat32, Dims{2, 7, 1, 3, 5})));
      const ir::ValueId joined = graph.node(graph.add_node(std::move(join))).outputs[0];
      const Dims shape = is_merged ? Dims{2, 7 * parts, 3, 5} : Dims{2, 7, parts * 15};
      graph.add_node({.op_type = "Reshape",
                      .inputs = {joined},
                      .outputs = {{"y", ir::Type::tensor(DataType::kFloat32, shape), {}}}});
      const ir::Node& node = graph.node(graph.producer(joined));
      const ops::Operator& op = *ops::find_operator(graph, node);
      const Limits limits;
      ops::PrepareContext context{graph, node, limits, 17, {}, {}, {}, {}, 1};
      const TensorDesc first{DataType::kFloat32, {2, 7, 1, 3, 5}, {3 * 5 * 9, 1, 1, 5 * 9, 9}};  // of 9 channels
      const TensorDesc dense{DataType::kFloat32, {2, 7, 1, 3, 5}, {3 * 5 * 7, 1, 1, 5 * 7, 7}};
      context.inputs.assign(count, dense);
      context.inputs[0] = first;
      context.outputs = {compute::plain(DataType::kFloat32, {2, 7, parts, 3, 5})};
      const ops::Layouts layouts = op.layout(context);
      const TensorDesc& output = layouts.outputs.at(0);
      EXPECT_EQ(output.strides[1] == parts && output.strides[2] == 1, is_merged);
      context.outputs = layouts.outputs;
      const auto kernel = op.prepare(context);

      std::vector<std::vector<float>> memory;
      std::vector<const void*> in;
      for (size_t i = 0; i < count; ++i) {
        const auto size = static_cast<size_t>(compute::span_bytes(context.inputs[i])) / sizeof(float);
        auto& numbers = memory.emplace_back(size);
        for (size_t j = 0; j < size; ++j) numbers[j] = static_cast<float>(1000 * i + j);
        in.push_back(numbers.data());
      }
      std::vector<float> result(static_cast<size_t>(2 * 7 * parts * 15), -1.0f);
      void* out[] = {result.data()};
      const auto state = kernel->make_state();
      kernel->run({in, out, nullptr, state.get()});
      for_each_index({2, 7, parts, 3, 5}, [&](Shape index) {
        const auto place = [&](const TensorDesc& desc) {
          int64_t sum = 0;
          for (size_t d = 0; d < 5; ++d) sum += index[d] * desc.strides[d];
          return static_cast<size_t>(sum);
        };
        const float actual = result[place(output)];
        const auto part = static_cast<size_t>(std::exchange(index[2], 0));
        EXPECT_EQ(actual, memory[part][place(context.inputs[part])]);
      });
    }
}

TEST(Concat, TakesTheOldDefaultAxisAndOtherTypes) {
  EXPECT_EQ(shape_of(run({"Concat", 3, {random_tensor({2, 3}, 1), random_tensor({2, 4}, 2)}}).at(0)), (Shape{2, 7}));
  EXPECT_EQ(to_int64s(run({"Concat", 13, {int64s({1, 2}), int64s({-3})}, {attribute("axis", 0)}}).at(0)),
            (std::vector<int64_t>{1, 2, -3}));
  EXPECT_EQ(
      run({"Concat", 13, {tensor<bool>({1}, {true}), tensor<bool>({1}, {false})}, {attribute("axis", 0)}}).at(0).size(),
      2u);
}

TEST(Concat, InfersAndRefuses) {
  const auto joined = [](const std::vector<ir::Type>& types, int64_t axis) {
    return infer("Concat", 13, types, {attribute("axis", axis)}).at(0);
  };
  EXPECT_EQ(joined({f32(Dims{"N"s, 3, {}}), f32(Dims{"N"s, 4, 7})}, 1).dims, (Dims{"N"s, 7, 7}));
  EXPECT_EQ(joined({f32(Dims{{}, 3}), f32(Dims{2, "C"s})}, 1).dims->at(0), ir::Dim(2));
  EXPECT_FALSE(joined({f32(Dims{2, 3}), f32(Dims{2, "C"s})}, 1).dims->at(1).known());
  EXPECT_FALSE(joined({f32(Dims{2, 3}), f32(std::nullopt)}, 1).has_rank());
  const auto refused = [&](const std::vector<ir::Type>& types, int64_t axis) {
    return error_of([&] { (void)joined(types, axis); }).code();
  };
  EXPECT_EQ(refused({f32(Dims{2, 3}), f32(Dims{3, 3})}, 1), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({f32(Dims{2, 3}), f32(Dims{2, 3, 1})}, 1), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({f32(Dims{2, 3}), int64_type(Dims{2, 3})}, 1), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({f32(Dims{2, 3}), f32(Dims{2, 3})}, 2), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({}, 0), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] { infer("Concat", 13, {f32(Dims{2})}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({f32(Dims{INT64_MAX}), f32(Dims{1})}, 0), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({f32(Dims{INT64_MAX / 8}), f32(Dims{1})}, 0), ErrorCode::kResourceLimit);
}

// --- Split -----------------------------------------------------------------------------------------------------------

/// Output `part` is what lies behind `offset` along dimension `axis`.
void expect_parts(const NodeCase& node, size_t axis, const std::vector<int64_t>& sizes) {
  const Tensor& input = *node.inputs[0];
  const auto check = [&](const std::vector<Tensor>& outputs) {
    int64_t offset = 0;
    ASSERT_EQ(outputs.size(), sizes.size());
    for (size_t part = 0; part < sizes.size(); ++part) {
      Shape shape = shape_of(input);
      shape[axis] = sizes[part];
      ASSERT_EQ(shape_of(outputs[part]), shape);
      for_each_index(shape, [&](Shape index) {
        const double found = at(outputs[part], index);
        index[axis] += offset;
        ASSERT_EQ(found, at(input, index));
      });
      offset += sizes[part];
    }
  };
  check(run(node));
  check(run_channels_last(node));
  const auto views = run_laid_out(node, arriving(node, compute::channels_last_strides(input.shape())));
  EXPECT_TRUE(views.is_view);
  check(views.outputs);
}

TEST(Split, TakesSizesFromAttributeOrInputOrEqualParts) {
  const Tensor input = random_tensor({2, 6, 4, 5}, 30);
  expect_parts({"Split", 11, {input}, {attribute("axis", 1), ints("split", {1, 3, 2})}, 3}, 1, {1, 3, 2});
  expect_parts({"Split", 2, {input}, {attribute("axis", 1)}, 3}, 1, {2, 2, 2});
  expect_parts({"Split", 13, {input, int64s({4, 0, 1})}, {attribute("axis", -1)}, 3}, 3, {4, 0, 1});
  expect_parts({"Split", 13, {input}, {}, 2}, 0, {1, 1});
  expect_parts({"Split", 18, {input}, {attribute("axis", 3), attribute("num_outputs", 3)}, 3}, 3, {2, 2, 1});
  expect_parts({"Split", 18, {input, int64s({5, 1})}, {attribute("axis", 1)}, 2}, 1, {5, 1});
}

TEST(Split, InfersAndRefuses) {
  const auto symbolic = infer("Split", 13, {f32(Dims{"N"s, 6}), {}}, {attribute("axis", 0)}, {{}, int64s({2, 3})}, 2);
  EXPECT_EQ(symbolic.at(1).dims, (Dims{3, 6}));
  EXPECT_FALSE(infer("Split", 13, {f32(Dims{"N"s, 6})}, {}, {}, 2).at(0).dims->at(0).known());
  EXPECT_EQ(infer("Split", 13, {f32(Dims{4, 6}), int64_type(Dims{2})}, {}, {}, 2).at(1).dims->at(1), ir::Dim(6));
  EXPECT_EQ(infer("Split", 13, {f32(std::nullopt)}, {}, {}, 2).size(), 2u);
  const Tensor input = random_tensor({2, 6}, 31);
  EXPECT_EQ(refusal({"Split", 11, {input}, {attribute("axis", 1), ints("split", {1, 3})}, 2}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Split", 11, {input}, {attribute("axis", 1), ints("split", {7, -1})}, 2}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Split", 11, {input}, {attribute("axis", 1), ints("split", {6})}, 2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Split", 11, {input}, {attribute("axis", 2)}, 2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Split", 13, {input}, {attribute("axis", 1)}, 4}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Split", 18, {input}, {attribute("axis", 1), attribute("num_outputs", 3)}, 2}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Split", 18, {input}, {attribute("axis", 0), attribute("num_outputs", 5)}, 5}),
            ErrorCode::kInvalidModel);
}

// --- Slice -----------------------------------------------------------------------------------------------------------

TEST(Slice, TakesWhatTheSpecificationSaysOnRandomRanges) {
  std::mt19937 rng(40);
  const Tensor input = random_tensor({4, 5, 6, 7}, 41);
  for (int round = 0; round < 150; ++round) {
    std::vector<int64_t> axes, starts, ends, steps;
    std::vector<std::vector<int64_t>> taken{{0, 1, 2, 3}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5, 6}};
    for (int64_t axis = 0; axis < 4; ++axis) {
      if (rng() % 2 == 0) continue;
      const int64_t dim = input.shape()[static_cast<size_t>(axis)];
      const auto some = [&](int64_t low, int64_t high) {
        return low + static_cast<int64_t>(rng() % static_cast<uint64_t>(high - low));
      };
      int64_t step = some(-3, 4);
      if (step == 0) step = rng() % 2 == 0 ? INT64_MIN : INT64_MAX;
      const int64_t start = rng() % 8 == 0 ? INT64_MAX : some(-9, 10), end = rng() % 8 == 0 ? INT64_MIN : some(-9, 10);
      axes.push_back(rng() % 2 == 0 ? axis : axis - 4);
      starts.push_back(start);
      ends.push_back(end);
      steps.push_back(step);
      // The positions that Python's slice(start, end, step) takes, but that a start before the first element is the
      // first when walking backwards.
      const bool forward = step > 0;
      const auto bound = [&](int64_t v) {
        if (v < 0) v += dim;
        return std::clamp<int64_t>(v, forward ? 0 : -1, forward ? dim : dim - 1);
      };
      auto& list = taken[static_cast<size_t>(axis)];
      list.clear();
      for (int64_t i = std::max<int64_t>(bound(start), 0); forward ? i < bound(end) : i > bound(end);) {
        list.push_back(i);
        if (step > dim || step < -dim) break;
        i += step;
      }
    }
    Shape shape;
    for (const auto& list : taken) shape.push_back(static_cast<int64_t>(list.size()));
    expect_output({"Slice", 13, {input, int64s(starts), int64s(ends), int64s(axes), int64s(steps)}}, shape,
                  [&](const Shape& index) {
                    Shape source(4);
                    for (size_t d = 0; d < 4; ++d) source[d] = taken[d][static_cast<size_t>(index[d])];
                    return at(input, source);
                  });
    if (HasFailure()) return;
  }
}

TEST(Slice, TakesAttributesAndOtherIntegers) {
  const Tensor input = random_tensor({3, 8}, 42);
  const auto third = [&](const Shape& i) { return at(input, {i[0] + 1, i[1] + 2}); };
  expect_output({"Slice", 9, {input}, {ints("starts", {1, 2}), ints("ends", {3, -1})}}, {2, 5}, third);
  expect_output({"Slice", 1, {input}, {ints("starts", {2}), ints("ends", {7}), ints("axes", {1})}}, {3, 5},
                [&](const Shape& i) {
                  return at(input, {i[0], i[1] + 2});
                });
  expect_output({"Slice", 10, {input, tensor<int32_t>({2}, {1, 2}), tensor<int32_t>({2}, {3, -1})}}, {2, 5}, third);
}

TEST(Slice, IsAViewUnlessItWalksBackwards) {
  const Tensor input = random_tensor({2, 6, 4, 5}, 43);
  const auto is_view = [&](int64_t step) {
    const NodeCase node{
        "Slice", 13, {input, int64s({step < 0 ? 5 : 1}), int64s({step < 0 ? 0 : 6}), int64s({1}), int64s({step})}};
    const auto result = run_laid_out(node, arriving(node, compute::channels_last_strides(input.shape())));
    EXPECT_TRUE(identical(result.outputs.at(0), run(node).at(0)));
    return result.is_view;
  };
  EXPECT_TRUE(is_view(1));
  EXPECT_TRUE(is_view(2));
  EXPECT_FALSE(is_view(-2));
}

TEST(Slice, Infers) {
  const auto slice = [](const ir::Type& input, const std::vector<int64_t>& starts, const std::vector<int64_t>& ends) {
    return *infer("Slice", 13, {input, {}, {}}, {}, {{}, int64s(starts), int64s(ends)}).at(0).dims;
  };
  EXPECT_EQ(slice(f32(Dims{"N"s, 8}), {0, 2}, {INT64_MAX, 6}), (Dims{"N"s, 4}));
  EXPECT_FALSE(slice(f32(Dims{"N"s, 8}), {1}, {INT64_MAX}).at(0).known());
  const auto unknown = infer("Slice", 13, {f32(Dims{2, 8}), int64_type(Dims{1}), int64_type(Dims{1}), {}}, {},
                             {{}, {}, {}, int64s({1})});
  EXPECT_EQ(unknown.at(0).dims->at(0), ir::Dim(2));
  EXPECT_FALSE(unknown.at(0).dims->at(1).known());
  EXPECT_EQ(infer("Slice", 13, {f32(Dims{2, 8}), int64_type(Dims{1}), int64_type(Dims{1})}).at(0).rank(), 2);
  EXPECT_FALSE(infer("Slice", 13, {f32(std::nullopt), int64_type({}), int64_type({})}).at(0).has_rank());
}

TEST(Slice, Refuses) {
  const Tensor input = random_tensor({3, 8}, 44);
  const auto refused = [&](const std::vector<int64_t>& starts, const std::vector<int64_t>& ends,
                           const std::vector<int64_t>& axes, const std::vector<int64_t>& steps) {
    return refusal({"Slice", 13, {input, int64s(starts), int64s(ends), int64s(axes), int64s(steps)}});
  };
  EXPECT_EQ(refused({0}, {1}, {0}, {0}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0}, {1, 2}, {0}, {1}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0}, {1}, {2}, {1}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0, 0}, {1, 1}, {0, -2}, {1, 1}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused({0}, {1}, {0}, {1, 1}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Slice", 13, {input, int64s({0})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Slice", 13, {input, random_tensor({1}, 1), int64s({1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Slice", 9, {input}, {ints("starts", {0, 0, 0}), ints("ends", {1, 1, 1})}}),
            ErrorCode::kInvalidModel);
}

// --- Expand, Tile ----------------------------------------------------------------------------------------------------

TEST(Expand, BroadcastsBothWays) {
  const Tensor input = random_tensor({3, 1, 5}, 50);
  expect_output({"Expand", 13, {input, int64s({2, 1, 4, 1})}}, {2, 3, 4, 5}, [&](const Shape& i) {
    return at(input, {i[1], 0, i[3]});
  });
  expect_output({"Expand", 8, {input, int64s({5})}}, {3, 1, 5}, [&](const Shape& i) { return at(input, i); });
  const Tensor pixel = random_tensor({2, 6, 1, 1}, 51);
  expect_output({"Expand", 13, {pixel, int64s({2, 6, 3, 4})}}, {2, 6, 3, 4}, [&](const Shape& i) {
    return at(pixel, {i[0], i[1], 0, 0});
  });
  expect_output({"Expand", 13, {tensor<int64_t>({}, {7}), int64s({2, 3})}}, {2, 3}, [](const Shape&) { return 7.0; });
  expect_output({"Expand", 13, {random_tensor({1}, 1), int64s({0})}}, {0}, [](const Shape&) { return 0.0; });
}

TEST(Expand, InfersAndRefuses) {
  EXPECT_EQ(infer("Expand", 13, {f32(Dims{"N"s, 1}), {}}, {}, {{}, int64s({1, 7})}).at(0).dims, (Dims{"N"s, 7}));
  EXPECT_EQ(infer("Expand", 13, {f32(Dims{3, 1}), int64_type(Dims{3})}).at(0).rank(), 3);
  EXPECT_FALSE(infer("Expand", 13, {f32(Dims{3, 1}), int64_type(std::nullopt)}).at(0).has_rank());
  const Tensor input = random_tensor({3, 1}, 52);
  EXPECT_EQ(refusal({"Expand", 13, {input, int64s({2, 1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Expand", 13, {input, int64s({3, -1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Expand", 13, {input, int64s({int64_t{1} << 40, 3, 1})}}), ErrorCode::kResourceLimit);
  EXPECT_EQ(refusal({"Expand", 13, {input, int64s({INT64_MAX, 3, INT64_MAX})}}), ErrorCode::kResourceLimit);
  EXPECT_EQ(refusal({"Expand", 13, {input}}), ErrorCode::kInvalidModel);
}

TEST(Tile, RepeatsInEveryLayout) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 60);
  expect_output({"Tile", 13, {input, int64s({1, 3, 2, 2})}}, {2, 9, 8, 10}, [&](const Shape& i) {
    return at(input, {i[0], i[1] % 3, i[2] % 4, i[3] % 5});
  });
  expect_output({"Tile", 6, {int64s({4, 5}), int64s({3})}}, {6},
                [](const Shape& i) { return 4.0 + static_cast<double>(i[0] % 2); });
  expect_output({"Tile", 13, {input, int64s({1, 0, 2, 2})}}, {2, 0, 8, 10}, [](const Shape&) { return 0.0; });
}

TEST(Tile, InfersAndRefuses) {
  EXPECT_EQ(infer("Tile", 13, {f32(Dims{"N"s, 3}), {}}, {}, {{}, int64s({1, 2})}).at(0).dims, (Dims{"N"s, 6}));
  EXPECT_FALSE(infer("Tile", 13, {f32(Dims{"N"s, 3}), {}}, {}, {{}, int64s({2, 2})}).at(0).dims->at(0).known());
  EXPECT_EQ(infer("Tile", 13, {f32(Dims{2, 3}), int64_type(Dims{2})}).at(0).rank(), 2);
  const Tensor input = random_tensor({2, 3}, 61);
  EXPECT_EQ(refusal({"Tile", 13, {input, int64s({2})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Tile", 13, {input, int64s({2, -1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Tile", 13, {input, int64s({INT64_MAX, 1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Tile", 13, {input, int64s({int64_t{1} << 40, 1})}}), ErrorCode::kResourceLimit);
}

TEST(Movement, SliceViewsNameWhatTheyTake) {
  const ops::SliceView view{{1, -1}, {INT64_MAX, INT64_MIN}, {0, 2}, {2, -3}};
  const auto ranges = view.ranges(std::vector<int64_t>{4, 5, 6});
  EXPECT_EQ(ranges[0].start, 1);
  EXPECT_EQ(ranges[0].count, 2);
  EXPECT_EQ(ranges[0].step, 2);
  EXPECT_EQ(ranges[1].count, 5);
  EXPECT_EQ(ranges[2].start, 5);
  EXPECT_EQ(ranges[2].count, 2);
  EXPECT_EQ(ranges[2].step, -3);
}

}  // namespace
}  // namespace pli::test
