#pragma once

#include <string>
#include <string_view>

namespace pli::tools {

/// One line on standard error that says what is being done, replaced by the next and gone at the end; nothing at all
/// unless standard error is a terminal.
class Progress {
 public:
  explicit Progress(bool wanted);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  void show(std::string_view what);
  void clear();

 private:
  bool active_;
  bool shown_ = false;
};

enum class Colour { kGreen = 32, kRed = 31, kYellow = 33 };

/// `text` in a colour where standard output is a terminal and NO_COLOR is not set; as it is elsewhere.
std::string paint(Colour colour, const std::string& text);

}  // namespace pli::tools
