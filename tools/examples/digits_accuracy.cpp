// A program that embeds Pli: classifies the held-out images of models/digits and counts how many it gets right.
// usage: digits_accuracy MODEL CASE_DIR, such as models/digits.onnx models/digits

#include <pli/pli.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>

namespace {

/// Prints how many rows of the model's output are largest where the labels say so.
void print_accuracy(const std::filesystem::path& model, const std::filesystem::path& test_case) {
  const pli::Session session = pli::Session::load(model);
  const pli::Tensor images = pli::load_tensor(test_case / "test_data_set_1" / "input_0.pb");
  const pli::Tensor labels = pli::load_tensor(test_case / "labels.pb");

  const pli::NamedValues outputs = session.run({{session.inputs().at(0).name, images}});
  const pli::Value& logits = outputs.at(session.outputs().at(0).name);

  const auto right_classes = labels.data<int64_t>();
  const size_t count = right_classes.size();
  if (logits.shape().size() != 2 || static_cast<size_t>(logits.shape()[0]) != count)
    throw std::runtime_error("the model gives " + pli::to_string(logits.shape()) + " for the labels " +
                             pli::to_string(labels.shape()));
  const auto classes = static_cast<size_t>(logits.shape()[1]);
  size_t right = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto row = logits.data<float>().subspan(i * classes, classes);
    right += std::ranges::max_element(row) - row.begin() == right_classes[i];
  }
  std::printf("%zu of %zu held-out images right: %.2f %%\n", right, count,
              100.0 * static_cast<double>(right) / static_cast<double>(count));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: digits_accuracy MODEL CASE_DIR\n");
    return 2;
  }
  try {
    print_accuracy(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "digits_accuracy: %s\n", e.what());
    return 1;
  }
}
