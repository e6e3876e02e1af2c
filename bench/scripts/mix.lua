-- Tables, closures, strings, floats, coroutines. Argument: rounds.
local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function sieve(n)
  local composite, count = {}, 0
  for k = 2, n do
    if not composite[k] then
      count = count + 1
      for m = k * k, n, k do composite[m] = true end
    end
  end
  return count
end

local Account = {}
Account.__index = Account
function Account.new(balance) return setmetatable({ balance = balance }, Account) end
function Account:deposit(v) self.balance = self.balance + v end
function Account:withdraw(v) if v > self.balance then return false end self.balance = self.balance - v return true end

local function accounts(n)
  local list, failed = {}, 0
  for k = 1, 100 do list[k] = Account.new(k) end
  for k = 1, n do
    local a, b = list[k % 100 + 1], list[k * 7 % 100 + 1]
    if a:withdraw(k % 13) then b:deposit(k % 13) else failed = failed + 1 end
  end
  local total = 0
  for k = 1, 100 do total = total + list[k].balance end
  return total .. "/" .. failed
end

local function strings(n)
  local parts, counts = {}, {}
  for k = 1, n do parts[#parts + 1] = string.format("%d:%x:%.3f", k, k * 31, k / 7) end
  local all = table.concat(parts, " ")
  for digits in all:gmatch("(%d+):") do
    local key = digits:sub(-2)
    counts[key] = (counts[key] or 0) + 1
  end
  local keys = {}
  for key in pairs(counts) do keys[#keys + 1] = key end
  table.sort(keys)
  return #all .. "/" .. #keys .. "/" .. all:gsub("%x+", string.upper):sub(1, 20)
end

local function producers(n)
  local sum = 0
  local co = coroutine.wrap(function() for k = 1, n do coroutine.yield(k) end end)
  for _ = 1, n do sum = sum + co() end
  return sum
end

local function mandelbrot(n)
  local inside = 0
  for y = 0, n - 1 do
    for x = 0, n - 1 do
      local cr, ci, zr, zi, k = 2.0 * x / n - 1.5, 2.0 * y / n - 1.0, 0.0, 0.0, 0
      while k < 50 and zr * zr + zi * zi < 4 do
        zr, zi, k = zr * zr - zi * zi + cr, 2 * zr * zi + ci, k + 1
      end
      if k == 50 then inside = inside + 1 end
    end
  end
  return inside
end

local hash = 5381
for round = 1, tonumber(arg[1]) do
  local line = table.concat({ round, fib(20), sieve(30000), accounts(50000), strings(4000), producers(10000), mandelbrot(40) }, " ")
  for k = 1, #line do hash = (hash * 33 + line:byte(k)) & 0xffffffffffff end
end
print(string.format("%012x", hash))
