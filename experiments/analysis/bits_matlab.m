% How are the bits of an example spread? Not run here, for want of MATLAB: bits_matlab('RESULTS_FOLDER', 'OUT_FIGURE.png')
% As bits.R: histograms of bits per dimension of the test examples, first seed, models with an exact likelihood. h5read turns the order
% of axes about: log_likelihood arrives as example x seed x estimator x model.
function bits_matlab(folder, figureFile)
file = fullfile(folder, 'compare.h5');
info = h5info(file);
figure('Visible', 'off');
for i = 1:numel(info.Groups)
    g = [info.Groups(i).Name '/test'];
    get = @(name) h5read(file, [g '/' name]);
    e = find(get('estimator') == "exact", 1);
    if isempty(e), continue, end
    kind = get('kind');
    models = find(kind(e, :).' == "exact" & get('chosen') == 1).';
    ll = get('log_likelihood'); bitsPerDim = get('summary/bits_per_dim'); means = get('summary/mean');
    run = dir(fullfile(folder, info.Groups(i).Name, '*', 'seed-*', 'result.h5'));
    dim = numel(h5read(fullfile(run(1).folder, run(1).name), '/data/test/dim'));
    subplot(1, numel(info.Groups), i); hold on;
    for m = models
        histogram(bitsPerDim(1, e, m) + (means(1, e, m) - ll(:, 1, e, m)) / (dim * log(2)), 60, 'DisplayStyle', 'stairs');
    end
    bitsKind = get('bits_kind'); words = 'bits per dimension';
    if bitsKind(e, models(1)) ~= "exact", words = [words ', at most']; end
    names = get('model'); legend(names(models), 'Interpreter', 'none');
    xlabel(words); ylabel('test examples'); title(info.Groups(i).Name, 'Interpreter', 'none');
end
saveas(gcf, figureFile);
end
