#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pli::tools {

/// Rows of text in aligned columns, two spaces between, every cell made printable.
class Table {
 public:
  enum class Align { kLeft, kRight };
  static constexpr size_t kAnyWidth = SIZE_MAX;

  /// One column for each alignment; a heading of empty strings prints no heading.
  explicit Table(std::vector<Align> columns, std::vector<std::string> heading = {});

  /// Missing cells are empty.
  void add(std::vector<std::string> cells);

  bool empty() const { return rows_.empty(); }

  /// Every line indented by `indent` spaces and ended by a newline. Where a line would take more than `width` columns
  /// the widest cells are shortened.
  std::string text(int indent = 2, size_t width = kAnyWidth) const;

 private:
  std::string line(const std::vector<std::string>& cells, const std::vector<size_t>& widths, int indent) const;

  std::vector<Align> columns_;
  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace pli::tools
