% What does a likelier model cost when it is sampled? octave cost.m RESULTS_FOLDER OUT_FIGURE.svg
% Seconds for 1000 samples against the mean test log-likelihood, first seed, a panel for each data set, view and measure. The sign before
% a name is the kind of its likelihood (= exact, >= at least, <= at most, ~ an estimate); likelihoods of another distribution than the
% one that is sampled are left out. Read from compare.csv: Debian's Octave has no h5read.
function fields = split_csv(line)  % texts may be quoted, for they have commas
  fields = cellfun(@(t) strrep(regexprep(t{1}, '^"|"$', ''), '""', '"'), regexp(line, '("(?:[^"]|"")*"|[^,]*)(?:,|$)', 'tokens'), 'UniformOutput', false);
end
args = argv();
if numel(args) < 2, error('usage: octave cost.m RESULTS_FOLDER OUT_FIGURE.svg'); end
lines = strsplit(strtrim(fileread(fullfile(args{end - 1}, 'compare.csv'))), "\n");
head = split_csv(lines{1});
rows = cellfun(@(l) split_csv(l)(1:numel(head)), lines(2:end), 'UniformOutput', false);
rows = vertcat(rows{:});
column = @(name) rows(:, strcmp(head, name));
is = @(name, value) strcmp(column(name), value);
value = str2double(column('value'));
first = str2double(column('seed')) == min(str2double(column('seed'))) & is('chosen', '1') & !isnan(value);
ll = first & is('quantity', 'mean_log_likelihood') & is('split', 'test') & is('evaluated_model', 'model');
place = strcat(column('dataset'), {', '}, column('view'), {', '}, column('measure'), {' measure'});
places = unique(place(ll), 'stable');
if isempty(places), error('%s: no likelihood of a model itself', args{end - 1}); end
warning('off', 'Octave:gnuplot-graphics');  % without a screen gnuplot draws
figure('visible', 'off', 'position', [0, 0, 600 * numel(places), 450]);
signs = struct('exact', '=', 'lower_bound', '>=', 'upper_bound', '<=', 'estimate', '~');
for i = 1:numel(places)
  subplot(1, numel(places), i, 'position', [(i - 0.87) / numel(places), 0.15, 0.84 / numel(places), 0.72]);
  for row = find(ll & strcmp(place, places{i}))'
    texts = cell2struct(rows(row, :), head, 2);
    seconds = value(first & strcmp(place, places{i}) & is('label', texts.label) & is('quantity', 'sample_seconds_per_1000'));
    semilogy(value(row), seconds, 'k.', 'markersize', 6);
    text(value(row), seconds, ['   ' signs.(texts.kind) ' ' texts.label ', ' texts.name], 'interpreter', 'none', 'fontsize', 9);
    hold on;
  end
  xlim(xlim()(1) + [0, 1.35] * diff(xlim()));  % room for the names
  xlabel('mean test log-likelihood, nat');
  ylabel('seconds for 1000 samples');
  title(places{i}, 'interpreter', 'none');
end
print(args{end});
