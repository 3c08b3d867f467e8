#!/usr/bin/env escript
%%! +P 1000000
%% OTP's supervisor at the same work. Prints the figures as JSON; ends badly if work was not done.
-mode(compile).
-export([init/1, start_child/3, run/4, start_tree/1]).

main([Workload, Size]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    N = list_to_integer(Size),
    Figures = measure(Workload, N),
    io:format("{~s}~n", [lists:join(", ", [io_lib:format("\"~s\": ~w", [K, V])
                                             || {K, V} <- Figures])]),
    halt(0).

%% --- a child: tells its owner what happens to it

init(Flags) -> {ok, Flags}.

start_child(Owner, Name, Kind) -> proc_lib:start_link(?MODULE, run, [self(), Owner, Name, Kind]).

run(Parent, Owner, Name, Kind) ->
    Owner ! {ready, Name, now_s(), self()},
    proc_lib:init_ack(Parent, {ok, self()}),
    live(Parent, Owner, Name, Kind).

live(_, Owner, Name, {crashes, Counter, N}) ->
    case counters:get(Counter, 1) of
        N -> Owner ! done, wait(Owner, Name);
        _ -> counters:add(Counter, 1, 1), exit(crash)
    end;
live(_, Owner, Name, idle) -> wait(Owner, Name);
live(_, Owner, Name, ordered) -> process_flag(trap_exit, true), wait(Owner, Name).

wait(Owner, Name) ->
    receive
        crash -> Owner ! {crashing, Name, now_s()}, exit(crash);
        {'EXIT', _, Reason} -> Owner ! {ended, Name}, exit(Reason)
    end.

now_s() -> erlang:monotonic_time(nanosecond) / 1.0e9.

spec(Name, Kind) ->
    #{id => Name, start => {?MODULE, start_child, [self(), Name, Kind]}, shutdown => 5000}.

supervisor_of(Specs, Strategy) ->
    Flags = #{strategy => Strategy, intensity => 1000000000, period => 1},
    {ok, Sup} = supervisor:start_link(?MODULE, {Flags, Specs}),
    Sup.

start_n(Sup, N, Kind) ->
    [begin {ok, Pid} = supervisor:start_child(Sup, spec(I, Kind)), Pid end
     || I <- lists:seq(1, N)].

stop(Sup) ->
    unlink(Sup),
    Ref = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Ref, _, _, shutdown} -> ok end.

await_ready(0) -> ok;
await_ready(N) -> receive {ready, _, _, _} -> await_ready(N - 1) after 5000 -> exit(not_ready) end.

await_ended([]) -> ok;
await_ended([I | Rest]) -> receive {ended, J} -> I = J, await_ended(Rest) end.

%% --- the workloads

measure("start", N) ->
    Sup = supervisor_of([], one_for_one),
    T0 = now_s(),
    start_n(Sup, N, ordered),
    T1 = now_s(),
    await_ready(N),
    T2 = now_s(),
    stop(Sup),
    T3 = now_s(),
    await_ended(lists:seq(N, 1, -1)),
    [{start, (T1 - T0) / N}, {stop, (T3 - T2) / N}];

measure("restarts", N) ->
    Counter = counters:new(1, []),
    Sup = supervisor_of([], one_for_one),
    T0 = now_s(),
    start_n(Sup, 1, {crashes, Counter, N}),
    receive done -> ok end,
    T1 = now_s(),
    await_ready(N + 1),
    stop(Sup),
    [{restart, (T1 - T0) / N}];

measure("latency", N) ->
    Sup = supervisor_of([], one_for_one),
    start_n(Sup, N, idle),
    await_ready(N),
    {ok, Pid} = supervisor:start_child(Sup, spec(crasher, idle)),
    await_ready(1),
    Took = lists:sort(crash_often(Sup, Pid, 1000, [])),
    stop(Sup),
    [{p50, lists:nth(500, Took)}, {p99, lists:nth(990, Took)}];

measure("memory", N) ->
    Sup = supervisor_of([], one_for_one),
    Before = used(),
    start_n(Sup, N, idle),
    await_ready(N),
    After = used(),
    stop(Sup),
    [{memory, (After - Before) / N}];

measure("subtree", N) ->
    Sup = supervisor_of([], one_for_one),
    Before = used(),
    T0 = now_s(),
    [{ok, _} = supervisor:start_child(Sup, tree(I)) || I <- lists:seq(1, N)],
    T1 = now_s(),
    await_ready(3 * N),
    After = used(),
    T2 = now_s(),
    stop(Sup),
    T3 = now_s(),
    [{start, (T1 - T0) / N}, {stop, (T3 - T2) / N}, {memory, (After - Before) / N}];

measure("groups", N) ->
    [{one_for_all, group(one_for_all, N)}, {rest_for_one, group(rest_for_one, N)}].

group(Strategy, N) ->
    Sup = supervisor_of([spec(I, idle) || I <- lists:seq(1, N)], Strategy),
    await_ready(N),
    T0 = now_s(),
    {1, Pid, _, _} = lists:keyfind(1, 1, supervisor:which_children(Sup)),
    Pid ! crash,
    await_ready(N),
    T1 = now_s(),
    stop(Sup),
    (T1 - T0) / N.

tree(I) ->
    #{id => I, type => supervisor, start => {?MODULE, start_tree, [self()]}}.

start_tree(Owner) ->
    Specs = [#{id => C, start => {?MODULE, start_child, [Owner, C, idle]}} || C <- [a, b, c]],
    supervisor:start_link(?MODULE, {#{intensity => 5, period => 30}, Specs}).

crash_often(_, _, 0, Took) -> Took;
crash_often(Sup, Pid, Left, Took) ->
    Pid ! crash,
    receive {crashing, _, T0} -> ok end,
    {T1, Next} = receive {ready, _, At, Back} -> {At, Back} end,
    %% Until the supervisor has done with it; which_children would leave it garbage to collect.
    {ok, _} = supervisor:get_childspec(Sup, crasher),
    crash_often(Sup, Next, Left - 1, [T1 - T0 | Took]).

used() ->
    [erlang:garbage_collect(P) || P <- processes()],
    erlang:memory(total).
