#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>

namespace pli::test {
namespace {

using ir::ValueId;

struct Case {
  const char* equation;
  const char* nodes;      // left of it, in order; "Einsum" where it stays
  bool constant = false;  // the right operand, or else the left one where `left`
  bool left = false;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.equation; }

int64_t size_of(char letter) { return 2 + (letter * 7 + 3) % 5; }

Shape shape_of(const std::string& term) {
  Shape shape;
  for (const char c : term) shape.push_back(size_of(c));
  return shape;
}

struct Terms {
  std::string left, right, result;
  explicit Terms(const std::string& equation) {
    std::smatch match;
    std::regex_match(equation, match, std::regex("(\\w*),(\\w*)(?:->(\\w*))?"));
    left = match[1];
    right = match[2];
    result = match[3];
  }
};

/// The sum over all positions of all letters.
std::vector<double> naive(const Terms& terms, const Doubles& a, const Doubles& b) {
  std::string letters;
  for (const char c : terms.left + terms.right)
    if (letters.find(c) == std::string::npos) letters += c;
  std::map<char, int64_t> at;
  const auto index = [&](const std::string& term) {
    int64_t flat = 0;
    for (const char c : term) flat = flat * size_of(c) + at[c];
    return static_cast<size_t>(flat);
  };
  int64_t size = 1;
  for (const char c : terms.result) size *= size_of(c);
  std::vector<double> result(static_cast<size_t>(size), 0.0);
  const std::function<void(size_t)> visit = [&](size_t i) {
    if (i == letters.size()) {
      result[index(terms.result)] += a.data[index(terms.left)] * b.data[index(terms.right)];
      return;
    }
    for (at[letters[i]] = 0; at[letters[i]] < size_of(letters[i]); ++at[letters[i]]) visit(i + 1);
  };
  visit(0);
  return result;
}

class EinsumToMatmul : public testing::TestWithParam<Case> {};

TEST_P(EinsumToMatmul, ComputesTheSame) {
  const Case& c = GetParam();
  const Terms terms(c.equation);
  Net net;
  const auto operand = [&](const char* name, const std::string& term, bool constant) {
    return constant ? net.weight(name, shape_of(term)) : net.input(name, shape_of(term));
  };
  const ValueId a = operand("a", terms.left, c.constant && c.left),
                b = operand("b", terms.right, c.constant && !c.left);
  net.output(net.node("Einsum", {a, b}, {attribute("equation", c.equation)}, "y"));
  const Optimized result = optimize(net.model());
  std::string nodes;
  for (const ir::NodeId id : result.model.graph.nodes())
    nodes += (nodes.empty() ? "" : " ") + result.model.graph.node(id).op_type;
  EXPECT_EQ(nodes, c.nodes);
  if (nodes.find("Einsum") != std::string::npos) return;

  std::map<std::string, Doubles> inputs;
  Doubles left = random_doubles(shape_of(terms.left), 1), right = random_doubles(shape_of(terms.right), 2);
  const auto numbers = [&](ValueId id, Doubles& into) {
    if (const Tensor* tensor = net.graph().constant_of(id))
      into.data.assign(tensor->data<float>().begin(), tensor->data<float>().end());
    else
      inputs[net.graph().name(id)] = into;
  };
  numbers(a, left);
  numbers(b, right);
  const auto actual = run_reference(result.model.graph, inputs).at("y");
  EXPECT_EQ(actual.shape, shape_of(terms.result));
  const std::vector<double> expected = naive(terms, left, right);
  ASSERT_EQ(actual.data.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(actual.data[i], expected[i], 1e-6) << i;
}

const Case kCases[] = {
    {"ij,jk->ik", "MatMul"},
    {"bij,jk->bik", "MatMul", true},
    {"bij,bjk->bik", "MatMul"},
    {"bhid,bhjd->bhij", "Transpose MatMul"},
    {"bhij,bhjd->bhid", "MatMul"},
    {"bthd,bshd->bhts", "Transpose Transpose MatMul"},
    {"bhts,bshd->bthd", "Transpose MatMul Transpose"},
    {"abc,cde->abde", "MatMul Reshape", true},
    {"abcd,cde->abe", "Reshape MatMul", true},
    {"abcd,dce->abe", "Reshape MatMul", true},
    {"dc,bsc->bsd", "MatMul", true, true},
    {"dc,bsc->bds", "MatMul Transpose", true, true},
    {"abc,c->ab", "MatMul", true},
    {"i,ij->j", "MatMul"},
    {"i,i->", "MatMul"},
    {"ij,kj->ki", "Transpose MatMul Transpose"},
    // What stays.
    {"ij,jk->i", "Einsum"},        // sums over k of one operand alone
    {"ij,ij->ij", "Einsum"},       // no sum
    {"bijc,bcd->bijd", "Einsum"},  // joins i and j of each image
    {"ii,ij->j", "Einsum"},
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return std::regex_replace(std::string(info.param.equation), std::regex("\\W+"), "_");
}
INSTANTIATE_TEST_SUITE_P(All, EinsumToMatmul, testing::ValuesIn(kCases), case_name);

/// The BatchNormalization that is a Mul and an Add behind an Einsum with weights goes into these.
TEST(EinsumAndFolds, TakesUpWhatFollows) {
  Net net(13);
  const ValueId x = net.input("x", {-1, 7, 3});
  const ValueId y = net.node("Einsum", {x, net.weight("w", {3, 5})}, {attribute("equation", "b i j, j k")});
  const ValueId scaled = net.node("Mul", {y, net.weight("k", {5})});
  net.output(net.node("Add", {scaled, net.weight("s", {5})}), "z");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("MatMul"), 1);
  EXPECT_EQ(result.count("Mul"), 0);
  EXPECT_EQ(result.model.graph.node_count(), 2u);
}

/// Sizes that are not known to be equal: of 1 one would be stretched.
TEST(EinsumAndFolds, SizesThatMayDifferStay) {
  Net net;
  const ValueId x =
      net.graph().add_input("x", ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim("n"), ir::Dim("k")}));
  const ValueId z = net.graph().add_input("z", ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim("c"), 5}));
  net.output(net.node("Einsum", {x, z}, {attribute("equation", "ij,jk->ik")}), "y");
  EXPECT_EQ(optimize(net.model()).count("Einsum"), 1);
}

}  // namespace
}  // namespace pli::test
