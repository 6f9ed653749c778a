#include "runtime/ops/selection/gather.h"

#include "tests/expect_error.h"
#include "tests/ops/movement_case.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>

namespace pli::test {
namespace {

using ir::Dims;

Tensor int32s(Shape shape, const std::vector<int32_t>& values) { return tensor<int32_t>(std::move(shape), values); }

/// An index counted from the front.
int64_t front(double index, int64_t dim) { return static_cast<int64_t>(index) + (index < 0 ? dim : 0); }

// --- Gather ----------------------------------------------------------------------------------------------------------

TEST(Gather, TakesRowsAlongAnyAxis) {
  const Tensor data = random_tensor({3, 4, 5}, 1);
  const Tensor indices = int32s({2, 3}, {0, -1, 2, -3, 1, 1});
  for (const int64_t axis : {0, 1, 2, -1}) {
    const auto d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
    Shape shape = shape_of(data);
    const int64_t dim = shape[d];
    shape.erase(shape.begin() + static_cast<int64_t>(d));
    shape.insert(shape.begin() + static_cast<int64_t>(d), {2, 3});
    expect_output({"Gather", 13, {data, indices}, {attribute("axis", axis)}}, shape, [&](const Shape& i) {
      Shape source(i.begin(), i.begin() + static_cast<int64_t>(d));
      source.push_back(front(at(indices, {i[d], i[d + 1]}), dim));
      source.insert(source.end(), i.begin() + static_cast<int64_t>(d) + 2, i.end());
      return at(data, source);
    });
  }
}

TEST(Gather, OfOneConstantIndexIsAView) {
  const Tensor data = random_tensor({2, 3, 4, 5}, 2);
  const NodeCase node{"Gather", 13, {data, tensor<int64_t>({}, {-1})}, {attribute("axis", 1)}};
  expect_output(node, {2, 4, 5}, [&](const Shape& i) { return at(data, {i[0], 2, i[1], i[2]}); });
  EXPECT_EQ(to_int64s(run({"Gather", 1, {int64s({7, 8, 9}), tensor<int64_t>({}, {1})}}).at(0)),
            std::vector<int64_t>{8});
}

TEST(Gather, InfersAndRefuses) {
  const auto gathered = [](const ir::Type& data, const ir::Type& indices, int64_t axis) {
    return infer("Gather", 13, {data, indices}, {attribute("axis", axis)}).at(0);
  };
  EXPECT_EQ(gathered(f32(Dims{"N"s, 4, 5}), int64_type(Dims{2, "k"s}), 1).dims, (Dims{"N"s, 2, "k"s, 5}));
  EXPECT_EQ(gathered(f32(Dims{"N"s, 4}), int64_type(Dims{}), 1).dims, (Dims{"N"s}));
  EXPECT_FALSE(gathered(f32(std::nullopt), int64_type(Dims{}), 1).has_rank());
  EXPECT_FALSE(gathered(f32(Dims{3}), int64_type(std::nullopt), 0).has_rank());
  EXPECT_EQ(error_of([&] { gathered(f32(Dims{3}), f32(Dims{1}), 0); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { gathered(f32(Dims{3}), int64_type(Dims{1}), 1); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { gathered(f32(Dims{}), int64_type(Dims{1}), 0); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] {
              infer("Gather", 13, {f32(Dims{3}), {}}, {}, {{}, int64s({3})});
            }).code(),
            ErrorCode::kInvalidModel);
}

/// What is thrown when the indices, input 1, are only known at run time.
Error run_time_error(const NodeCase& node) {
  return error_of([&] { run_unknown(node); });
}

TEST(Gather, NamesTheIndexThatIsOutOfRange) {
  for (const int64_t wrong : {int64_t{4}, int64_t{-5}, INT64_MIN, INT64_MAX}) {
    const Error error =
        run_time_error({"Gather", 13, {random_tensor({3, 4}, 3), int64s({0, wrong})}, {attribute("axis", 1)}});
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(std::to_string(wrong)), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("of 4"), std::string::npos) << error.what();
  }
  EXPECT_EQ(run_time_error({"Gather", 13, {random_tensor({0, 4}, 3), int64s({0})}}).code(),
            ErrorCode::kInvalidArgument);
}

// --- GatherElements --------------------------------------------------------------------------------------------------

TEST(GatherElements, TakesElementsAlongAnyAxis) {
  const Tensor data = random_tensor({3, 4, 5}, 4);
  for (const int64_t axis : {0, 1, 2, -2}) {
    const auto d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
    Shape shape{2, 3, 4};
    shape[d] = 6;
    std::mt19937 rng(5);
    Tensor indices(DataType::kInt64, shape);
    for (int64_t& index : indices.mutable_data<int64_t>())
      index = static_cast<int64_t>(rng() % static_cast<uint64_t>(2 * data.shape()[d])) - data.shape()[d];
    expect_output({"GatherElements", 13, {data, indices}, {attribute("axis", axis)}}, shape, [&](Shape i) {
      i[d] = front(at(indices, i), data.shape()[d]);
      return at(data, i);
    });
  }
}

TEST(GatherElements, InfersAndRefuses) {
  EXPECT_EQ(infer("GatherElements", 11, {f32(Dims{3, "N"s}), int64_type(Dims{2, 5})}).at(0), f32(Dims{2, 5}));
  EXPECT_FALSE(infer("GatherElements", 11, {f32(Dims{3, 4}), int64_type(std::nullopt)}).at(0).has_rank());
  const Tensor data = random_tensor({3, 4}, 6);
  EXPECT_EQ(refusal({"GatherElements", 13, {data, int64s({0})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"GatherElements", 13, {data, Tensor(DataType::kInt64, {3, 5})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"GatherElements", 13, {data, tensor<int64_t>({1, 1}, {3})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(run_time_error({"GatherElements", 13, {data, tensor<int64_t>({1, 2}, {1, -4})}}).code(),
            ErrorCode::kInvalidArgument);
}

// --- GatherND --------------------------------------------------------------------------------------------------------

TEST(GatherND, TakesSlicesAndElements) {
  const Tensor data = random_tensor({3, 4, 5}, 7);
  const Tensor pairs = tensor<int64_t>({2, 2}, {0, 3, -1, -4});
  expect_output({"GatherND", 11, {data, pairs}}, {2, 5}, [&](const Shape& i) {
    return at(data, {front(at(pairs, {i[0], 0}), 3), front(at(pairs, {i[0], 1}), 4), i[1]});
  });
  const Tensor triples = tensor<int64_t>({1, 2, 3}, {0, 1, 2, 2, 3, 4});
  expect_output({"GatherND", 13, {data, triples}}, {1, 2}, [&](const Shape& i) {
    return at(data, {front(at(triples, {0, i[1], 0}), 3), front(at(triples, {0, i[1], 1}), 4),
                     front(at(triples, {0, i[1], 2}), 5)});
  });
}

TEST(GatherND, KeepsBatches) {
  const Tensor data = random_tensor({3, 4, 5, 2}, 8);
  const Tensor indices = tensor<int64_t>({3, 2, 1}, {0, 1, 2, 3, -1, -2});
  expect_output({"GatherND", 12, {data, indices}, {attribute("batch_dims", 1)}}, {3, 2, 5, 2}, [&](const Shape& i) {
    return at(data, {i[0], front(at(indices, {i[0], i[1], 0}), 4), i[2], i[3]});
  });
}

TEST(GatherND, InfersAndRefuses) {
  EXPECT_EQ(infer("GatherND", 13, {f32(Dims{"N"s, 4, 5}), int64_type(Dims{"k"s, 1})}).at(0).dims, (Dims{"k"s, 4, 5}));
  EXPECT_FALSE(infer("GatherND", 13, {f32(Dims{2, 4}), int64_type(Dims{2, "k"s})}).at(0).has_rank());
  const Tensor data = random_tensor({3, 4}, 9);
  EXPECT_EQ(refusal({"GatherND", 13, {data, Tensor(DataType::kInt64, {2, 3})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"GatherND", 13, {data, Tensor(DataType::kInt64, {2, 0})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"GatherND", 13, {data, Tensor(DataType::kInt64, {})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"GatherND", 13, {data, Tensor(DataType::kInt64, {2, 1})}, {attribute("batch_dims", 1)}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"GatherND", 13, {data, Tensor(DataType::kInt64, {3, 1})}, {attribute("batch_dims", -1)}}),
            ErrorCode::kInvalidModel);
  const Tensor outside = tensor<int64_t>({2, 2}, {2, -4, 0, 4});
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "index 4 is outside of a dimension of 4", [&] {
    infer("GatherND", 13, {f32(Dims{"N"s, 4}), int64_type(Dims{2, 2})}, {}, {{}, outside});
  }));
  const Error error = run_time_error({"GatherND", 13, {data, tensor<int64_t>({1, 2}, {2, 4})}});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(std::string(error.what()).find("index 4"), std::string::npos);
}

// --- Compress, OneHot ------------------------------------------------------------------------------------------------

TEST(Compress, KeepsWhatItsConditionSays) {
  const Tensor data = random_tensor({3, 4, 2}, 10);
  const Tensor condition = tensor<bool>({3}, {false, true, true});
  expect_output({"Compress", 11, {data, condition}, {attribute("axis", -2)}}, {3, 2, 2}, [&](const Shape& i) {
    return at(data, {i[0], i[1] + 1, i[2]});
  });
  expect_output({"Compress", 9, {data, condition}}, {2}, [&](const Shape& i) {
    return at(data, {0, (i[0] + 1) / 2, (i[0] + 1) % 2});
  });
  EXPECT_EQ(infer("Compress", 11, {f32(Dims{"N"s, 4}), {}}, {attribute("axis", 0)}, {{}, condition}).at(0).dims,
            (Dims{2, 4}));
  EXPECT_EQ(infer("Compress", 11, {f32(Dims{"N"s, 4}), ir::Type::tensor(DataType::kBool)}, {attribute("axis", 0)})
                .at(0)
                .dims->at(1),
            ir::Dim(4));
  EXPECT_EQ(refusal({"Compress", 11, {data, condition}, {attribute("axis", 2)}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Compress", 11, {data, int64s({1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Compress", 11, {tensor<float>({}, {1}), condition}}), ErrorCode::kInvalidModel);
}

TEST(OneHot, SetsOneClass) {
  const Tensor indices = tensor<int64_t>({2, 3}, {0, -1, 4, 1, -5, 3});
  const Tensor values = tensor<float>({2}, {0.5f, 2.0f});
  const auto expected = [&](int64_t row, int64_t column, int64_t cls) {
    return front(at(indices, {row, column}), 4) == cls ? 2.0 : 0.5;
  };
  expect_output({"OneHot", 11, {indices, tensor<int64_t>({}, {4}), values}}, {2, 3, 4},
                [&](const Shape& i) { return expected(i[0], i[1], i[2]); });
  expect_output({"OneHot", 9, {indices, tensor<float>({1}, {4}), values}, {attribute("axis", 1)}}, {2, 4, 3},
                [&](const Shape& i) { return expected(i[0], i[2], i[1]); });
  const Tensor numbers = tensor<float>({3}, {1, std::numeric_limits<float>::quiet_NaN(), 1e30f});
  EXPECT_EQ(to_int64s(run({"OneHot", 11, {numbers, int64s({2}), int64s({0, 1})}}).at(0)),
            (std::vector<int64_t>{0, 1, 0, 0, 0, 0}));
}

TEST(OneHot, InfersAndRefuses) {
  EXPECT_EQ(infer("OneHot", 11, {int64_type(Dims{"N"s}), int64_type(Dims{}), f32(Dims{2})}).at(0).rank(), 2);
  const Tensor values = tensor<float>({2}, {0, 1});
  EXPECT_EQ(refusal({"OneHot", 11, {int64s({1}), int64s({-1}), values}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"OneHot", 11, {int64s({1}), tensor<float>({}, {NAN}), values}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"OneHot", 11, {int64s({1}), int64s({2, 3}), values}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"OneHot", 11, {int64s({1}), int64s({3}), tensor<float>({3}, {0, 1, 2})}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"OneHot", 11, {int64s({1}), int64s({3}), values}, {attribute("axis", 2)}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"OneHot", 11, {int64s({1}), int64s({int64_t{1} << 40}), values}}), ErrorCode::kResourceLimit);
}

// --- Scatter ---------------------------------------------------------------------------------------------------------

/// What ScatterElements makes, one update after the other.
std::vector<double> scattered(const Tensor& data, const Tensor& indices, const Tensor& updates, size_t axis,
                              const std::function<double(double, double)>& reduce) {
  std::map<Shape, double> result;
  for_each_index(shape_of(data), [&](const Shape& i) { result[i] = at(data, i); });
  for_each_index(shape_of(indices), [&](const Shape& i) {
    Shape target = i;
    target[axis] = front(at(indices, i), data.shape()[axis]);
    result[target] = reduce(result[target], at(updates, i));
  });
  std::vector<double> values;
  for (const auto& [index, value] : result) values.push_back(value);
  return values;
}

TEST(ScatterElements, ReplacesOrCombinesInOrder) {
  const Tensor data = tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor updates = tensor<float>({2, 2}, {10, -20, 0.5f, 8});
  const Tensor indices = tensor<int64_t>({2, 2}, {1, 0, -2, 2});  // 1 twice in the first column
  const auto check = [&](const char* reduction, int64_t opset, const std::function<double(double, double)>& reduce) {
    const NodeCase node{"ScatterElements", opset, {data, indices, updates}, {attribute("reduction", reduction)}};
    EXPECT_EQ(numbers(run(node).at(0)), scattered(data, indices, updates, 0, reduce)) << reduction;
    EXPECT_EQ(numbers(run_channels_last(node).at(0)), scattered(data, indices, updates, 0, reduce)) << reduction;
  };
  check("none", 16, [](double, double b) { return b; });
  check("add", 16, [](double a, double b) { return a + b; });
  check("mul", 16, [](double a, double b) { return a * b; });
  check("min", 18, [](double a, double b) { return std::min(a, b); });
  check("max", 18, [](double a, double b) { return std::max(a, b); });
  const Tensor column = tensor<int32_t>({3, 1}, {-1, 0, 1}), news = tensor<float>({3, 1}, {7, 8, 9});
  EXPECT_EQ(numbers(run({"Scatter", 9, {data, column, news}, {attribute("axis", 1)}}).at(0)),
            (std::vector<double>{1, 7, 8, 4, 5, 9}));
  EXPECT_EQ(numbers(run({"ScatterElements", 11, {data, column, news}, {attribute("axis", -1)}}).at(0)),
            (std::vector<double>{1, 7, 8, 4, 5, 9}));
}

template <class T>
T first(const Tensor& tensor) {
  return tensor.data<T>()[0];
}

TEST(ScatterElements, WrapsIntegersAndKeepsNaN) {
  const auto one = [](const Tensor& data, const Tensor& update, const char* reduction) {
    return run({"ScatterElements", 18, {data, int64s({0}), update}, {attribute("reduction", reduction)}}).at(0);
  };
  EXPECT_EQ(first<int32_t>(one(tensor<int32_t>({1}, {INT32_MAX}), tensor<int32_t>({1}, {2}), "add")), INT32_MIN + 1);
  EXPECT_EQ(first<uint16_t>(one(tensor<uint16_t>({1}, {65535}), tensor<uint16_t>({1}, {65535}), "mul")), 1);
  EXPECT_TRUE(std::isnan(first<float>(one(tensor<float>({1}, {1}), tensor<float>({1}, {NAN}), "max"))));
  EXPECT_TRUE(std::isnan(first<float>(one(tensor<float>({1}, {NAN}), tensor<float>({1}, {1}), "min"))));
  EXPECT_EQ(error_of([&] { one(tensor<bool>({1}, {true}), tensor<bool>({1}, {true}), "add"); }).code(),
            ErrorCode::kUnsupported);
}

TEST(ScatterElements, Refuses) {
  const Tensor data = random_tensor({3, 4}, 11);
  const auto refused = [&](const Tensor& indices, const Tensor& updates, std::vector<ir::Attribute> attributes = {},
                           int64_t opset = 18) {
    return refusal({"ScatterElements", opset, {data, indices, updates}, std::move(attributes)});
  };
  const Tensor indices(DataType::kInt64, {1, 2});
  EXPECT_EQ(refused(indices, random_tensor({1, 3}, 1)), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(indices, random_tensor({2}, 1)), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(indices, Tensor(DataType::kInt64, {1, 2})), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(int64s({1}), random_tensor({1}, 1)), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(indices, random_tensor({1, 2}, 1), {attribute("axis", 2)}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(indices, random_tensor({1, 2}, 1), {attribute("reduction", "mean")}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(indices, random_tensor({1, 2}, 1), {attribute("reduction", "max")}, 16), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(Tensor(DataType::kInt64, {1, 5}), random_tensor({1, 5}, 1)), ErrorCode::kInvalidModel);
  EXPECT_EQ(refused(tensor<int64_t>({1, 1}, {3}), random_tensor({1, 1}, 1)), ErrorCode::kInvalidModel);
  const Error error =
      run_time_error({"ScatterElements", 18, {data, tensor<int64_t>({1, 1}, {3}), random_tensor({1, 1}, 1)}});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
}

TEST(Scatter, ConstantIndicesAreCheckedAsPartOfTheModel) {
  const Tensor rows = tensor<int64_t>({2, 1}, {1, -4});
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "index -4 is outside of a dimension of 3", [&] {
    infer("ScatterND", 13, {f32(Dims{3, 5}), int64_type(Dims{2, 1}), f32(Dims{2, 5})}, {}, {{}, rows});
  }));
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "index -4 is outside of a dimension of 3", [&] {
    infer("ScatterElements", 13, {f32(Dims{3, 5}), int64_type(Dims{2, 1}), f32(Dims{2, 1})}, {}, {{}, rows});
  }));
}

TEST(ScatterND, ReplacesOrCombinesSlicesAndElements) {
  const Tensor data = tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor rows = tensor<int64_t>({2, 1}, {-1, 0}), news = tensor<float>({2, 2}, {10, 20, 30, 40});
  EXPECT_EQ(numbers(run({"ScatterND", 11, {data, rows, news}}).at(0)), (std::vector<double>{30, 40, 3, 4, 10, 20}));
  EXPECT_EQ(numbers(run({"ScatterND", 16, {data, rows, news}, {attribute("reduction", "mul")}}).at(0)),
            (std::vector<double>{30, 80, 3, 4, 50, 120}));
  const Tensor places = tensor<int64_t>({2, 2}, {1, 1, 1, -1}), two = tensor<float>({2}, {100, 1000});
  EXPECT_EQ(numbers(run({"ScatterND", 16, {data, places, two}, {attribute("reduction", "add")}}).at(0)),
            (std::vector<double>{1, 2, 3, 1104, 5, 6}));
  EXPECT_EQ(numbers(run({"ScatterND", 18, {data, places, two}, {attribute("reduction", "max")}}).at(0)),
            (std::vector<double>{1, 2, 3, 1000, 5, 6}));
  EXPECT_EQ(refusal({"ScatterND", 16, {data, rows, two}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ScatterND", 16, {data, Tensor(DataType::kInt64, {1, 3}), two}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ScatterND", 16, {data, Tensor(DataType::kInt64, {}), two}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"ScatterND", 16, {data, tensor<int64_t>({2, 2}, {1, 1, 1, 2}), two}}), ErrorCode::kInvalidModel);
}

// --- TopK, CumSum, NonZero -------------------------------------------------------------------------------------------

TEST(TopK, AgreesWithSortingInEveryDirection) {
  const Tensor data = random_tensor({3, 7, 4}, 12);
  for (const int64_t axis : {0, 1, -1})
    for (const int64_t largest : {0, 1}) {
      const auto d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
      const NodeCase node{"TopK", 11, {data, int64s({2})}, {attribute("axis", axis), attribute("largest", largest)}, 2};
      Shape shape = shape_of(data);
      shape[d] = 2;
      for (const auto& outputs : {run(node), run_channels_last(node, 3)}) {
        ASSERT_EQ(shape_of(outputs.at(0)), shape);
        for_each_index(shape, [&](Shape i) {
          std::vector<std::pair<double, int64_t>> line;
          for (Shape j = i; const int64_t k : {0, 1, 2, 3, 4, 5, 6})
            if (j[d] = k; k < data.shape()[d]) line.emplace_back(largest ? -at(data, j) : at(data, j), k);
          std::ranges::sort(line);
          const auto& [value, position] = line[static_cast<size_t>(i[d])];
          ASSERT_EQ(at(outputs[0], i), largest ? -value : value);
          ASSERT_EQ(at(outputs[1], i), static_cast<double>(position));
        });
      }
    }
}

TEST(TopK, PutsNaNOnTopAndTheFirstOfEquals) {
  const Tensor data = tensor<float>({5}, {1, NAN, 3, 3, -2});
  EXPECT_EQ(to_int64s(run({"TopK", 11, {data, int64s({4})}, {}, 2}).at(1)), (std::vector<int64_t>{1, 2, 3, 0}));
  EXPECT_EQ(to_int64s(run({"TopK", 11, {data, int64s({5})}, {attribute("largest", 0)}, 2}).at(1)),
            (std::vector<int64_t>{4, 0, 2, 3, 1}));
  EXPECT_EQ(to_int64s(run({"TopK", 9, {data}, {attribute("k", 1)}, 2}).at(1)), std::vector<int64_t>{1});
  EXPECT_EQ(to_int64s(run({"TopK", 10, {int64s({4, 9}), int64s({1})}, {}, 2}).at(0)), std::vector<int64_t>{9});
  EXPECT_EQ(run({"TopK", 11, {data, int64s({0})}, {}, 2}).at(1).size(), 0u);
}

TEST(TopK, InfersAndRefuses) {
  const auto types = infer("TopK", 11, {f32(Dims{"N"s, 5}), {}}, {}, {{}, int64s({3})}, 2);
  EXPECT_EQ(types.at(0), f32(Dims{"N"s, 3}));
  EXPECT_EQ(types.at(1), int64_type(Dims{"N"s, 3}));
  EXPECT_FALSE(infer("TopK", 11, {f32(Dims{"N"s, 5}), int64_type(Dims{1})}, {}, {}, 2).at(0).dims->at(1).known());
  const Tensor data = random_tensor({2, 5}, 13);
  EXPECT_EQ(refusal({"TopK", 11, {data, int64s({6})}, {}, 2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"TopK", 11, {data, int64s({-1})}, {}, 2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"TopK", 11, {data, int64s({1, 2})}, {}, 2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"TopK", 9, {data}, {}, 2}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"TopK", 11, {data, int64s({1})}, {attribute("axis", 2)}, 2}), ErrorCode::kInvalidModel);
}

TEST(CumSum, SumsAlongAnyAxis) {
  const Tensor data = tensor<int64_t>({2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  for (const int64_t axis : {0, 1, -1})
    for (const int64_t exclusive : {0, 1})
      for (const int64_t reverse : {0, 1}) {
        const auto d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
        const NodeCase node{"CumSum",
                            14,
                            {data, tensor<int32_t>({}, {static_cast<int32_t>(axis)})},
                            {attribute("exclusive", exclusive), attribute("reverse", reverse)}};
        expect_output(node, {2, 3, 2}, [&](const Shape& i) {
          double sum = 0;
          for (Shape j = i; const int64_t k : {0, 1, 2}) {
            if (k >= data.shape()[d]) continue;
            j[d] = k;
            if ((reverse ? k > i[d] : k < i[d]) || (k == i[d] && !exclusive)) sum += at(data, j);
          }
          return sum;
        });
      }
  EXPECT_EQ(run({"CumSum", 11, {tensor<int32_t>({2}, {INT32_MAX, 1}), int64s({0})}}).at(0).data<int32_t>()[1],
            INT32_MIN);
  EXPECT_EQ(infer("CumSum", 14, {f32(Dims{"N"s, 3}), int64_type(Dims{})}).at(0), f32(Dims{"N"s, 3}));
  EXPECT_EQ(refusal({"CumSum", 14, {data, int64s({3})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"CumSum", 14, {data, random_tensor({1}, 1)}}), ErrorCode::kInvalidModel);
}

TEST(NonZero, ListsPositionsOfConstants) {
  const Tensor data = tensor<float>({2, 3}, {0, 1, -0.0f, NAN, 0, 2});
  const Tensor positions = run({"NonZero", 13, {data}}).at(0);
  EXPECT_EQ(shape_of(positions), (Shape{2, 3}));
  EXPECT_EQ(to_int64s(positions), (std::vector<int64_t>{0, 1, 1, 1, 0, 2}));
  EXPECT_EQ(to_int64s(run({"NonZero", 9, {tensor<bool>({3}, {true, false, true})}}).at(0)),
            (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(shape_of(run({"NonZero", 13, {tensor<int64_t>({}, {5})}}).at(0)), (Shape{1, 1}));
  EXPECT_EQ(infer("NonZero", 13, {f32(Dims{2, 3})}).at(0).dims->at(0), ir::Dim(2));
  EXPECT_FALSE(infer("NonZero", 13, {f32(Dims{2, 3})}).at(0).dims->at(1).known());
}

}  // namespace
}  // namespace pli::test
