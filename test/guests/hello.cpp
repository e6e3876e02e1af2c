// Containers, streams, exceptions, virtual calls, static construction.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
struct Circle : Shape {
  double r;
  explicit Circle(double r) : r(r) {}
  double area() const override { return 3.14159265358979 * r * r; }
};
struct Square : Shape {
  double a;
  explicit Square(double a) : a(a) {}
  double area() const override { return a * a; }
};

struct Announcer {
  Announcer() { std::cout << "constructed before main\n"; }
  ~Announcer() { std::cout << "destroyed after main" << std::endl; }
} announcer;

static int depth(int n) {
  if (n == 0) throw std::runtime_error("from the depths");
  std::string local(n, 'x');
  return depth(n - 1) + static_cast<int>(local.size());
}

int main(int argc, char **argv) {
  std::cout << "Hello from C++, " << argc - 1 << " argument(s)\n";
  std::map<std::string, int> counts;
  std::istringstream words("the quick brown fox jumps over the lazy dog the end");
  for (std::string w; words >> w;) counts[w]++;
  for (const auto &[word, n] : counts) std::cout << word << '=' << n << ' ';
  std::cout << '\n';
  std::vector<std::unique_ptr<Shape>> shapes;
  shapes.push_back(std::make_unique<Circle>(1.5));
  shapes.push_back(std::make_unique<Square>(2.25));
  for (const auto &s : shapes) std::cout << std::setprecision(12) << s->area() << ' ' << (dynamic_cast<Circle *>(s.get()) ? "circle" : "other") << '\n';
  try {
    depth(50);
  } catch (const std::exception &e) {
    std::cout << "caught: " << e.what() << '\n';
  }
  try {
    std::vector<int>().at(3);
  } catch (const std::out_of_range &) {
    std::cout << "out of range\n";
  }
  std::vector<int> v(1000);
  unsigned seed = 7;
  for (auto &x : v) x = static_cast<int>((seed = seed * 1664525u + 1013904223u) >> 16);
  std::sort(v.begin(), v.end());
  std::cout << v.front() << ' ' << v[500] << ' ' << v.back() << '\n';
  return 4;
}
