#include "runtime/ops/linear/matmul.h"

#include "tests/ops/op_test.h"

#include <fmt/format.h>

namespace pli::test {
namespace {

double at(const Tensor& t, int64_t row, int64_t column, bool transposed) {
  const int64_t columns = t.shape()[1];
  return t.data<float>()[static_cast<size_t>(transposed ? column * columns + row : row * columns + column)];
}

/// C's element for a place of the result, broadcast from the last dimension on.
double broadcast_at(const Tensor& c, int64_t row, int64_t column) {
  const auto shape = c.shape();
  const int64_t columns = shape.empty() ? 1 : shape.back();
  const int64_t rows = shape.size() < 2 ? 1 : shape[shape.size() - 2];
  return c.data<float>()[static_cast<size_t>((rows == 1 ? 0 : row) * columns + (columns == 1 ? 0 : column))];
}

TEST(Gemm, AgreesWithTheDefinitionInEveryForm) {
  constexpr int64_t m = 5, k = 7, n = 9;
  const std::vector<std::optional<Shape>> c_shapes = {std::nullopt, Shape{},     Shape{1},    Shape{n},
                                                      Shape{1, n},  Shape{m, 1}, Shape{m, n}, Shape{1, 1}};
  uint32_t seed = 0;
  for (const DataType dtype : kFloatTypes)
    for (const bool trans_a : {false, true})
      for (const bool trans_b : {false, true})
        for (const auto& [alpha, beta] :
             {std::pair(1.0f, 1.0f), {0.5f, 1.0f}, {1.0f, -2.0f}, {-1.5f, 0.25f}, {2.0f, 0.0f}})
          for (const auto& c_shape : c_shapes) {
            SCOPED_TRACE(fmt::format("{} transA {} transB {} alpha {} beta {} C {}", to_string(dtype), trans_a, trans_b,
                                     alpha, beta, c_shape ? to_string(*c_shape) : "none"));
            const auto rounded = [&](const Shape& shape) {
              return as(as(random_tensor(shape, ++seed), dtype), DataType::kFloat32);
            };
            const Tensor a = rounded(trans_a ? Shape{k, m} : Shape{m, k});
            const Tensor b = rounded(trans_b ? Shape{n, k} : Shape{k, n});
            NodeCase node{"Gemm", 13, {as(a, dtype), as(b, dtype)}};
            const Tensor c = c_shape ? rounded(*c_shape) : Tensor();
            if (c_shape) node.inputs.push_back(as(c, dtype));
            node.attributes = {attribute("transA", trans_a ? 1 : 0), attribute("transB", trans_b ? 1 : 0),
                               attribute("alpha", alpha), attribute("beta", beta)};
            std::vector<double> expected;
            for (int64_t i = 0; i < m; ++i)
              for (int64_t j = 0; j < n; ++j) {
                double sum = 0;
                for (int64_t p = 0; p < k; ++p) sum += at(a, i, p, trans_a) * at(b, p, j, trans_b);
                expected.push_back(alpha * sum + (c_shape ? beta * broadcast_at(c, i, j) : 0.0));
              }
            expect_near(run(node).at(0), {m, n}, expected, tolerance_of(dtype), tolerance_of(dtype));
          }
}

TEST(MatMul, AgreesWithTheDefinition) {
  struct Case {
    Shape a, b, result;
  };
  const Case cases[] = {
      {{4, 6}, {6, 5}, {4, 5}},
      {{6}, {6, 5}, {5}},
      {{4, 6}, {6}, {4}},
      {{6}, {6}, {}},
      {{2, 3, 4, 6}, {6, 5}, {2, 3, 4, 5}},
      {{3, 4, 6}, {3, 6, 5}, {3, 4, 5}},
      {{2, 1, 4, 6}, {3, 6, 5}, {2, 3, 4, 5}},
      {{6}, {3, 6, 5}, {3, 5}},
      {{3, 4, 6}, {6}, {3, 4}},
      {{4, 6}, {3, 6, 5}, {3, 4, 5}},
      {{4, 0}, {0, 5}, {4, 5}},
      {{0, 6}, {6, 5}, {0, 5}},
      {{13, 300}, {300, 71}, {13, 71}},  // more than one block of everything
  };
  uint32_t seed = 900;
  for (const DataType dtype : kFloatTypes)
    for (const auto& [a_shape, b_shape, result] : cases) {
      SCOPED_TRACE(fmt::format("{} {} x {}", to_string(dtype), to_string(a_shape), to_string(b_shape)));
      const Tensor a = as(as(random_tensor(a_shape, ++seed), dtype), DataType::kFloat32);
      const Tensor b = as(as(random_tensor(b_shape, ++seed), dtype), DataType::kFloat32);
      Shape wide_a = a_shape.size() == 1 ? Shape{1, a_shape[0]} : a_shape;
      Shape wide_b = b_shape.size() == 1 ? Shape{b_shape[0], 1} : b_shape;
      const size_t rank = std::max(wide_a.size(), wide_b.size());
      wide_a.insert(wide_a.begin(), rank - wide_a.size(), 1);
      wide_b.insert(wide_b.begin(), rank - wide_b.size(), 1);
      const int64_t m = wide_a[rank - 2], k = wide_a[rank - 1], n = wide_b[rank - 1];
      int64_t batches = 1;
      for (size_t i = 0; i + 2 < rank; ++i) batches *= std::max(wide_a[i], wide_b[i]);
      std::vector<double> expected;
      for (int64_t batch = 0; batch < batches; ++batch) {
        int64_t rest = batch, batch_a = 0, batch_b = 0, step_a = 1, step_b = 1;
        for (size_t i = rank - 2; i-- > 0;) {
          const int64_t index = rest % std::max(wide_a[i], wide_b[i]);
          rest /= std::max(wide_a[i], wide_b[i]);
          batch_a += (wide_a[i] == 1 ? 0 : index) * step_a;
          batch_b += (wide_b[i] == 1 ? 0 : index) * step_b;
          step_a *= wide_a[i];
          step_b *= wide_b[i];
        }
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int64_t p = 0; p < k; ++p)
              sum += static_cast<double>(a.data<float>()[static_cast<size_t>((batch_a * m + i) * k + p)]) *
                     b.data<float>()[static_cast<size_t>((batch_b * k + p) * n + j)];
            expected.push_back(sum);
          }
      }
      expect_near(run({"MatMul", 13, {as(a, dtype), as(b, dtype)}}).at(0), result, expected, tolerance_of(dtype),
                  tolerance_of(dtype));
    }
}

TEST(MatMul, RefusesSizesThatDoNotFit) {
  const auto type = [](Shape shape) { return ir::Type::of(Tensor(DataType::kFloat32, std::move(shape))); };
  EXPECT_EQ(error_of([&] { infer("MatMul", 13, {type({2, 3}), type({4, 5})}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("MatMul", 13, {type({}), type({4, 5})}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] {
              infer("MatMul", 13, {type({2, 3, 4}), type({3, 4, 5})});
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Gemm", 13, {type({2, 3}), type({4, 5})}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] {
              infer("Gemm", 13, {type({2, 3}), type({3, 5}), type({4})});
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Gemm", 13, {type({2, 3, 1}), type({3, 5})}); }).code(), ErrorCode::kInvalidModel);
}

}  // namespace
}  // namespace pli::test
