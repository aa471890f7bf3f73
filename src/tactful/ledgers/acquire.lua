-- Decides asks for hand-overs and writes down those that are granted, in one step.
--
-- KEYS     the histories of some recipients, each key once
-- ARGV[1]  the plan, JSON: {longest, checks: [{kind, reach, most, bounds: [...]}, ...]}
-- ARGV[2]  the asks, JSON: for each key the numbers (from 1) of the checks to make, in order
--
-- A bound is {count, rule, severity} and either {window} in ms or a calendar window {start, stop};
-- `priorities` and, if given, `types`, `channels` and `categories` say which kinds it counts.
--
-- The answer is one text: the instant (8 bytes), and for each ask 23 bytes: what came of it
-- (0 refused, 1 granted, 2 granted and nothing to count, 3 the calendar window in the plan is not
-- the one of this instant), the number of the rule, how many are left, the stamp, and when there
-- is room again (0: never).

local NONE, UNLIMITED, STEP = 65535, 4294967295, 1 / 1024
local floor, max, pack = math.floor, math.max, struct.pack

local clock = redis.call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
local plan = cjson.decode(ARGV[1])
local asks = cjson.decode(ARGV[2])
local packed = redis.call('MGET', unpack(KEYS))
local checks, longest = plan.checks, plan.longest
local answers, given = { pack('<d', now) }, 1

local function listed(names, name)
  if not names then
    return true
  end
  for i = 1, #names do
    if names[i] == name then
      return true
    end
  end
  return false
end

local function matches(bound, kind)
  local priority, what, channel, category = kind:match('^(%d)([^\n]*)\n?([^\n]*)\n?(.*)$')
  return bound.priorities:find(priority, 1, true) ~= nil
    and listed(bound.types, what)
    and listed(bound.channels, channel)
    and listed(bound.categories, category == '' and 'default' or category)
end

-- For each bound: which kinds it counts, worked out once.
for i = 1, #checks do
  local bounds = checks[i].bounds
  for j = 1, #bounds do
    local bound = bounds[j]
    bound.counts = setmetatable({}, {
      __index = function(memo, kind)
        local answer = matches(bound, kind)
        memo[kind] = answer
        return answer
      end,
    })
  end
end

-- How many of some ascending stamps are not before an instant.
local function since(own, instant)
  local size = #own
  if size == 0 or own[1] >= instant then
    return size
  end
  local low, high = 1, size + 1 -- own[low] is before it, own[high] is not
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if own[middle] >= instant then
      high = middle
    else
      low = middle
    end
  end
  return size + 1 - high
end

-- The instant of the stamp that has `count - 1` counted ones behind it.
local function nth_latest(bound, history, count)
  local all = {}
  for i = 2, #history, 2 do
    if bound.counts[history[i]] then
      local own = history[i + 1]
      for j = max(1, #own - count + 1), #own do
        all[#all + 1] = own[j]
      end
    end
  end
  table.sort(all)
  return floor(all[#all - count + 1])
end

-- When a bound that has no room has some again; 0 if never.
local function room_at(bound, history)
  if bound.count == 0 then
    return 0
  end
  return bound.stop or nth_latest(bound, history, bound.count) + bound.window
end

local function later(one, other)
  return other ~= 0 and (one == 0 or one > other)
end

-- Which rule refuses, and when all of them have room again; `full` are the bounds that have none.
local function refusal(full, history, at)
  local slot, severity, rule, free = at, -1, NONE, nil
  for i = 1, #full do
    local bound = full[i]
    local open = room_at(bound, history)
    if later(open, slot) then
      slot = open
    end
    if bound.severity > severity or (bound.severity == severity and later(open, free)) then
      severity, rule, free = bound.severity, bound.rule, open
    end
  end
  return 0, rule, 0, slot
end

-- What came of one ask at an instant, by which rule, what is left, when there is room again.
local function decide(check, history, at)
  local bounds, left, binding, full = check.bounds, UNLIMITED, NONE, nil
  for i = 1, #bounds do
    local bound = bounds[i]
    local start, counts, here = bound.start, bound.counts, bound.count
    if not start then
      start = at - bound.window + 1
    elseif at < start or at >= bound.stop then
      return 3, NONE, 0, at
    end
    for j = 2, #history, 2 do
      if counts[history[j]] then
        local own = history[j + 1]
        here = here - (own[1] >= start and #own or since(own, start))
      end
    end
    if here <= 0 then
      here = 0
      full = full or {}
      full[#full + 1] = bound
    end
    if here < left then
      left, binding = here, bound.rule
    end
  end
  if full then
    return refusal(full, history, at)
  elseif left == UNLIMITED then
    return 2, NONE, UNLIMITED, at
  end
  return 1, binding, left - 1, 0
end

-- Writes a stamp down behind the others of its kind, and forgets what its rules need no more.
local function add(check, history, stamp)
  local place = 2
  while history[place] and history[place] ~= check.kind do
    place = place + 2
  end
  local own = history[place + 1] or {}
  local size = #own
  local keep = math.min(since(own, floor(stamp) - check.reach + 1), check.most - 1)
  if keep < size then
    local kept = {}
    for i = size - keep + 1, size do
      kept[#kept + 1] = own[i]
    end
    own, size = kept, keep
  end
  own[size + 1] = stamp
  history[place], history[place + 1] = check.kind, own
  history[1] = stamp
end

for number = 1, #KEYS do
  local history = read_history(packed[number])
  local changed, held = false, false
  local wanted = asks[number]
  for i = 1, #wanted do
    local check = checks[wanted[i]]
    local last = history[1]
    local stamp = last >= now and last + STEP or now
    local came, rule, left, slot = 3, NONE, 0, 0
    if not held then
      came, rule, left, slot = decide(check, history, floor(stamp))
    end
    if came == 1 then
      add(check, history, stamp)
      changed = true
    elseif came == 3 then
      held = true -- what follows must not overtake it
    end
    given = given + 1
    answers[given] = pack('<BHI4dd', came, rule, left, stamp, slot)
  end
  if changed then
    local forgotten_at = floor(history[1]) + longest
    redis.call('SET', KEYS[number], packed_history(history, longest), 'PXAT', forgotten_at)
  end
end
return table.concat(answers)
